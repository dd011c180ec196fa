/* The joined page of .ci/print_book.py, fitted to paper before it is printed.
   A table that is a little too wide is set smaller; one that would become hard to read, or has so many columns that its
   cells would become towers, gets a page across. Widths are those of the text, in CSS pixels. */
"use strict";

const MANY = 10;

function fitTable(table, upright, across) {
  const width = table.scrollWidth;
  const columns = table.rows[0]?.cells.length || 0;
  if (width <= upright && columns < MANY) return;
  if ((columns < MANY && upright / width > 0.85) || table.parentElement.closest("table")) {
    table.style.zoom = upright / width;
    return;
  }
  (table.closest(".pst-scrollable-table-container, .cell_output") || table).classList.add("across");
  if (width > across) table.style.zoom = across / width;
}

/* Paper is not turned to and fro: a section of several such tables lies across as a whole, and a short title stays with
   its table. */
function gatherAcross(section) {
  const boxes = [...section.querySelectorAll(".across")].filter((box) => box.closest("section") === section);
  const before = boxes[0]?.previousElementSibling;
  if (boxes.length > 1) section.classList.add("across");
  else if (before && before.textContent.trim().length < 80) before.classList.add("across");
}

function fitToPaper(upright, across) {
  document.querySelectorAll("table").forEach((table) => fitTable(table, upright, across));
  document.querySelectorAll("section").forEach(gatherAcross);
  for (const formula of document.querySelectorAll("div.math mjx-container")) {
    if (formula.scrollWidth > upright) formula.style.zoom = upright / formula.scrollWidth;
  }
}
