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

function nameScrolledTable(box) {
  if (box.scrollWidth > box.clientWidth) {
    box.tabIndex = 0;
    box.setAttribute("role", "region");
    box.setAttribute("aria-label", nameOf(box));
  } else {
    box.removeAttribute("role");
    box.removeAttribute("aria-label");
  }
}

/* While a table is scrolled, the cells that tell its rows apart stay in view: the first column, or as many as it takes
   until no two rows read the same, but no more than three. */
const MOST = 3;
const COLUMN = 9; // rem that a kept column takes at most, if no word of it is longer
const SHARE = 0.54; // of the box's width that all kept columns may take

function keyColumns(rows) {
  const distinct = [];
  for (let columns = 1; columns <= MOST; columns++) {
    const keys = rows.map((row) => [...row.cells].slice(0, columns).map((cell) => cell.textContent.trim()).join("\n"));
    distinct.push(new Set(keys).size);
  }
  return 1 + distinct.indexOf(Math.max(...distinct));
}

/* Widths as near to those wanted as fit together into the room: who wants less than an equal share gets all of it. */
function shared(wanted, room) {
  const given = [];
  const order = wanted.map((_, column) => column).sort((one, other) => wanted[one] - wanted[other]);
  order.forEach((column, number) => {
    given[column] = Math.min(wanted[column], Math.floor(room / (order.length - number)));
    room -= given[column];
  });
  return given;
}

function widths(table, cells, property) {
  table.dataset.measured = property; // book.css lays the key's cells out by it
  const found = cells.map((cell) => Math.ceil(cell.getBoundingClientRect().width));
  delete table.dataset.measured;
  return found;
}

function keepKey(box, table) {
  for (const cell of table.querySelectorAll(".row-key")) cell.classList.remove("row-key", "row-key-last");
  box.style.scrollPaddingLeft = "";
  const rows = [...table.tBodies].flatMap((body) => [...body.rows]);
  if (!rows.length || box.scrollWidth <= box.clientWidth || table.querySelector("[rowspan], [colspan]")) return;
  const kept = keyColumns(rows);
  const all = [...table.rows].map((row) => [...row.cells].slice(0, kept));
  for (const cell of all.flat()) cell.classList.add("row-key");
  const whole = widths(table, all[0], "lines");
  const words = widths(table, all[0], "words");
  const most = COLUMN * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const room = SHARE * box.clientWidth;
  const given = shared(words, room); // no word is broken while there is room for all
  const rest = room - given.reduce((sum, width) => sum + width, 0);
  const more = shared(whole.map((width, column) => Math.max(0, Math.min(width, most) - given[column])), rest);
  for (const cells of all) {
    let left = 0;
    cells.forEach((cell, column) => {
      cell.style.setProperty("--key-left", `${left}px`);
      cell.style.setProperty("--key-width", `${given[column] + more[column]}px`);
      cell.classList.toggle("row-key-last", column === kept - 1);
      left += given[column] + more[column];
    });
    box.style.scrollPaddingLeft = `${left}px`; // what has the focus is not scrolled to below the key
  }
}

function fitTables(boxes) {
  for (const box of boxes) {
    for (const table of box.querySelectorAll("table")) keepKey(box, table);
    nameScrolledTable(box);
  }
}

/* Again when a box or a table has got another width: with the window, when what it lies in is opened, when fonts come. */
function watchTables() {
  const boxes = [...document.querySelectorAll(BOXES)];
  const size = (box) => `${box.clientWidth} ${box.scrollWidth}`;
  const seen = new Map();
  const fit = () => {
    const changed = boxes.filter((box) => seen.get(box) !== size(box));
    fitTables(changed);
    for (const box of changed) seen.set(box, size(box));
  };
  const watch = new ResizeObserver(() => requestAnimationFrame(fit));
  for (const box of boxes) for (const element of [box, ...box.querySelectorAll("table")]) watch.observe(element);
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

/* A figure with a caption can be enlarged: a dialog shows it wide enough to be read, and scrolls it where the window is
   narrower. Without a script the picture is shown as it is. */
function makeDialog() {
  const dialog = document.createElement("dialog");
  dialog.className = "enlarged";
  dialog.setAttribute("aria-label", "Enlarged picture");
  dialog.innerHTML =
    '<form method="dialog"><button>Close</button></form>' +
    '<div class="enlarged-scroll" role="region" tabindex="0" aria-label="Picture, can be scrolled"><img alt=""></div>';
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  document.body.append(dialog);
  return dialog;
}

function enlargeFigures() {
  let dialog = null;
  for (const image of document.querySelectorAll(".bd-article figure > img[alt]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "enlarge";
    button.textContent = "Enlarge the picture";
    const enlarge = () => {
      dialog ||= makeDialog();
      const picture = dialog.querySelector("img");
      picture.src = image.src;
      picture.alt = image.alt;
      button.focus({ preventScroll: true }); // which gets the focus back
      dialog.showModal();
      dialog.querySelector(".enlarged-scroll").scrollTo(0, 0);
    };
    image.classList.add("enlarges");
    image.addEventListener("click", enlarge);
    button.addEventListener("click", enlarge);
    image.after(button);
  }
}

document.addEventListener("DOMContentLoaded", enlargeFigures);
window.addEventListener("load", watchTables);
