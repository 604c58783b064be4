// What a quantity consists of: a bar of coloured parts, and their names and sizes below it.

import { el } from "../dom.js";

/** `parts`: `{name, kind, size}`; `kind` names the colour in the stylesheet. Parts without size are left out. */
export function bar(parts, total, show) {
  const sized = parts.filter((part) => part.size > 0);
  const width = (part) => `${Math.min(100, (100 * part.size) / total)}%`;
  const drawn = sized.map((part) => el("span", { class: part.kind, style: { width: width(part) } }));
  const named = sized.map((part) =>
    el("li", {}, el("i", { class: part.kind }), `${part.name} `, el("b", {}, show(part.size))),
  );
  return el("div", {}, el("div", { class: "bar", "aria-hidden": "true" }, drawn), el("ul", { class: "legend" }, named));
}

/** How full something is, or how far: `share` from 0 to 1, unknown when undefined. `role`: "meter" or "progressbar". */
export function gauge(share, label, role = "meter") {
  const value = share === undefined ? undefined : Math.round(100 * Math.max(0, Math.min(1, share)));
  const attributes = { role, "aria-label": label, "aria-valuemin": 0, "aria-valuemax": 100, "aria-valuenow": value };
  const done = el("span", { style: { width: `${value ?? 0}%` } });
  return el("div", { class: role === "meter" ? "gauge" : "gauge b", ...attributes }, done);
}
