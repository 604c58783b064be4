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

/** Keeps the rows of `parent` that stay, by key, so that focus and scrolling stay too. `make(item)` builds a row, and
 *  is called again only when the item has changed. A row with the focus is not replaced. */
export function keep(parent, items, keyOf, make) {
  const old = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const rows = items.map((item) => {
    const key = String(keyOf(item));
    const text = JSON.stringify(item);
    const known = old.get(key);
    if (known && (known.seen === text || known.contains(document.activeElement))) return known;
    const row = make(item);
    row.dataset.key = key;
    row.seen = text;
    return row;
  });
  const same = rows.length === parent.children.length && rows.every((row, at) => row === parent.children[at]);
  if (!same) parent.replaceChildren(...rows);
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
