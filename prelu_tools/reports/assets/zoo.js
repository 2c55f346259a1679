"use strict";
(() => {
  const table = document.getElementById("models");
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  const search = document.getElementById("search");
  const count = document.getElementById("count");

  // Figures are sorted as numbers, what has none goes last.
  const figure = (text) => {
    const found = Number.parseFloat(text.replaceAll(",", "").replace(/^[<>]/, ""));
    return Number.isNaN(found) ? null : found;
  };
  const compare = (a, b, isNumber) => {
    if (!isNumber) return a.localeCompare(b);
    const [x, y] = [figure(a), figure(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return x - y;
  };

  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows];
      const isNumber = rows.some((row) => row.cells[column].className === "number");
      const text = new Map(rows.map((row) => [row, row.cells[column].textContent]));
      rows.sort((a, b) => (down ? -1 : 1) * compare(text.get(a), text.get(b), isNumber));
      body.append(...rows);
    });
  });

  const show = () => {
    const wanted = search.value.toLowerCase();
    let shown = 0;
    for (const row of body.rows) {
      row.hidden = !row.textContent.toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${body.rows.length}`;
  };
  search.addEventListener("input", show);
  show();
})();
