/* A table that is wider than its box can be scrolled by keyboard (the theme sees to that), but a screen reader would
   meet a nameless box. It becomes a region named by its caption or the heading above it. */
"use strict";

const BOXES = ".pst-scrollable-table-container";

function nameOf(box) {
  const caption = box.querySelector("caption");
  if (caption) return caption.textContent.replace(/#\s*$/, "").trim();
  const section = box.closest("section");
  const heading = section && section.querySelector("h1, h2, h3, h4, h5, h6");
  if (!heading) return "Table";
  const title = heading.firstChild.textContent.trim();
  const number = [...section.querySelectorAll(BOXES)].indexOf(box) + 1;
  return number > 1 ? `Table ${number} under “${title}”` : `Table under “${title}”`;
}

function nameScrolledTables() {
  for (const box of document.querySelectorAll(BOXES)) {
    if (box.scrollWidth > box.clientWidth) {
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", nameOf(box));
    } else {
      box.removeAttribute("role");
      box.removeAttribute("aria-label");
    }
  }
}

/* The list of pages stands in no landmark of the theme's. */
const sidebar = document.getElementById("pst-primary-sidebar");
if (sidebar) {
  sidebar.setAttribute("role", "complementary");
  sidebar.setAttribute("aria-label", "The book");
}

/* From a disk a browser may not read other pages, so results of the search come without their surroundings. */
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

/* A figure with a caption leads to its file, which a telephone can enlarge. */
function linkFigures() {
  for (const image of document.querySelectorAll(".bd-article figure > img[alt]")) {
    const link = document.createElement("a");
    link.href = image.src;
    link.title = "Open the picture by itself";
    image.replaceWith(link);
    link.append(image);
  }
}

document.addEventListener("DOMContentLoaded", linkFigures);
window.addEventListener("load", nameScrolledTables);
window.addEventListener("resize", nameScrolledTables);
