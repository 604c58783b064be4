// Builds elements. Data only ever becomes text or an attribute, never HTML.

const SVG = "http://www.w3.org/2000/svg";

/** `el("p", {class: "x", onclick: f, style: {width: "3%"}}, "text", element, [more], null)`; null and false are left out. */
export function el(tag, attributes = {}, ...children) {
  return build(document.createElement(tag), attributes, children);
}

/** As `el`, for a part of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, tag), attributes, children);
}

/** Gives `parent` these children instead of those it has. */
export function fill(parent, ...children) {
  parent.replaceChildren(...nodes(children));
  return parent;
}

/** Keeps the rows of `parent` that stay, by key, so that scrolling and what is open stay too. `make(item)` builds a row,
 *  and is called again only when the item has changed. The focus stays where it was in a row that is built anew; a row
 *  on which a pointer is down is not: its click would be lost. */
export function keep(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const back = focused(parent);
  const rows = items.map((item) => {
    const key = String(keyOf(item));
    const text = JSON.stringify(item);
    const known = old.get(key);
    if (known && (known.seen === text || known.matches(":active"))) return known;
    const row = make(item);
    row.dataset.key = key;
    row.seen = text;
    return row;
  });
  const same = rows.length === parent.children.length && rows.every((row, at) => row === parent.children[at]);
  if (same) return;
  parent.replaceChildren(...rows);
  back(rows);
}

/** Call what this returns with the new rows: it gives the focus back to what had it, or to its successor. */
function focused(parent) {
  const had = document.activeElement;
  const row = [...parent.children].find((child) => child.contains(had));
  if (!row) return () => {};
  const at = inputs(row).indexOf(had);
  return (rows) => {
    const now = rows.find(({ dataset }) => dataset.key === row.dataset.key);
    const next = now && (now.contains(had) ? had : inputs(now)[at]);
    next?.focus({ preventScroll: true });
  };
}

function inputs(row) {
  return [row, ...row.querySelectorAll("a, button, input, select, summary")];
}

function build(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...nodes(children));
  return made;
}

function nodes(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}
