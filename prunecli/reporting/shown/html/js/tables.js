const MISSING = "—";
const PROSE = 40;
const collator = new Intl.Collator(undefined, { numeric: true });

/** The number that a cell begins with; NaN where it begins with none. */
function leading(text) {
  return parseFloat(text.replaceAll("−", "-").replaceAll(",", "").replace(/^< /, ""));
}

/** Compares cells of a column: as numbers where all are, what is missing always last. */
function order(cells, numeric) {
  const known = cells.filter((cell) => cell !== MISSING && cell !== "");
  const numbers = numeric && known.every((cell) => !Number.isNaN(leading(cell)));
  const compare = numbers ? (a, b) => leading(a) - leading(b) : collator.compare;
  return (a, b, sign) => {
    const gaps = [a, b].map((cell) => Number(cell === MISSING || cell === ""));
    return gaps[0] - gaps[1] || (gaps[0] ? 0 : sign * compare(a, b));
  };
}

/** A table whose headers sort it, titled where no heading says it already. */
function sortable({ title, columns, rows, note, textColumns }, titled = true) {
  const kinds = columns.map((column, place) => {
    if (place >= textColumns && column !== "Verdict") return "number";
    return rows.some((row) => row[place].length > PROSE) ? "text prose" : "text";
  });
  const headers = columns.map((column, place) => {
    const compare = order(rows.map((row) => row[place]), place >= textColumns);
    const header = el("th", { scope: "col", class: kinds[place] },
      el("button", { type: "button", onclick: () => sort(header, place, compare) }, column));
    return header;
  });
  const body = el("tbody", {}, ...rows.map((row) => el("tr", {}, ...row.map(cellOf))));

  function cellOf(cell, place) {
    const won = columns[place] === "Verdict" && cell.includes(" is better") ? " won" : "";
    const heads = place === 0 && textColumns > 0;
    return el(heads ? "th" : "td", { class: kinds[place] + won, scope: heads ? "row" : null }, cell);
  }

  function sort(header, place, compare) {
    const falling = header.getAttribute("aria-sort") === "ascending";
    for (const other of headers) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", falling ? "descending" : "ascending");
    const value = (row) => row.cells[place].textContent;
    body.append(...[...body.rows].sort((a, b) => compare(value(a), value(b), falling ? -1 : 1)));
  }

  const table = el("table", { "aria-label": title }, el("thead", {}, el("tr", {}, ...headers)), body);
  return el("figure", {}, titled ? el("p", { class: "title" }, title) : null,
    el("div", { class: "scroll" }, table), note ? el("p", { class: "note" }, note) : null);
}
