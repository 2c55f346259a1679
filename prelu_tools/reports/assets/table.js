"use strict";

/* Tables that can be sorted by a click on a header and searched. */
(() => {
  // Figures are sorted as numbers, what has none goes last.
  const figure = (text) => {
    const found = Number.parseFloat(text.replaceAll(",", "").replace(/^[<>]/, ""));
    return Number.isNaN(found) ? null : found;
  };

  const compare = (a, b, isFigure) => {
    if (!isFigure) return a.localeCompare(b, "en", { numeric: true });
    const [x, y] = [figure(a), figure(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    return x - y;
  };

  function sort(table, head) {
    const down = head.getAttribute("aria-sort") === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const isFigure = head.className === "figure";
    const text = (row) => row.cells[head.cellIndex].textContent;
    const rows = [...table.tBodies[0].rows];
    const sign = down ? -1 : 1;
    rows.sort((a, b) => {
      const order = compare(text(a), text(b), isFigure);
      const unknown = isFigure && (figure(text(a)) === null || figure(text(b)) === null);
      return unknown ? order : sign * order;
    });
    table.tBodies[0].append(...rows);
  }

  function searchable(table) {
    const search = Object.assign(document.createElement("input"), { type: "search", placeholder: "Search" });
    search.setAttribute("aria-label", "Search");
    const count = document.createElement("span");
    count.setAttribute("role", "status");
    const controls = document.createElement("p");
    controls.className = "search";
    controls.append(search, " ", count);
    table.before(controls);
    const show = () => {
      const wanted = search.value.toLowerCase();
      const rows = [...table.tBodies[0].rows];
      for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
      count.textContent = rows.filter((row) => !row.hidden).length + " of " + rows.length;
    };
    search.addEventListener("input", show);
    show();
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    for (const head of table.tHead.rows[0].cells) {
      head.querySelector("button").addEventListener("click", () => sort(table, head));
    }
    searchable(table);
  }

  /* What a link leads to is opened. */
  const open = () => {
    const found = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (found instanceof HTMLDetailsElement) found.open = true;
  };
  addEventListener("hashchange", open);
  open();
})();
