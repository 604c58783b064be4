// A table of rows; on a narrow screen each row is a small card.

import { el, keep } from "../dom.js";

/** `columns`: `{name, of, number, wide}`; `of(row)` gives text, an element or null;
 *  `wide` ones have a line of their own on a card. `caption` is for screen readers.
 *  The returned element's `show(rows)` shows rows; those with the same `keyOf(row)` that have not changed stay. */
export function table(caption, columns, keyOf) {
  const body = el("tbody");
  const head = columns.map(({ name, number }) => el("th", { scope: "col", class: number && "number" }, name));
  const made = el(
    "table",
    { class: "cards" },
    el("caption", { class: "hidden" }, caption),
    el("thead", {}, el("tr", {}, head)),
    body,
  );
  made.show = (rows) => keep(body, rows, keyOf, (row) => el("tr", {}, columns.map((column) => cell(column, row))));
  made.foot = (row) => {
    made.querySelector("tfoot")?.remove();
    if (row) made.append(el("tfoot", {}, el("tr", {}, columns.map((column) => cell(column, row)))));
  };
  return made;
}

function cell({ name, of, number, wide }, row) {
  const value = of(row);
  const empty = value === null || value === undefined || value === "";
  const kind = [number && "number", wide && "wide"].filter(Boolean).join(" ");
  return el("td", { "data-name": name, class: kind || null }, empty ? null : value);
}
