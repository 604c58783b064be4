// Lines over time, drawn as SVG.

import { el, fill, svg } from "../dom.js";

const WIDTH = 300;
const HEIGHT = 90;
const SPAN = 890;

/** `lines`: `{name, kind, of}` where `of(point)` is a value or undefined, which leaves a gap. `show` writes a value.
 *  The returned element's `draw(points, step)` draws; points have `at` in Unix seconds. */
export function chart(title, lines, show) {
  const drawing = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" });
  const top = el("span", { class: "top-value" });
  const from = el("span", {});
  const to = el("span", {});
  const values = lines.map((line) => el("b", {}));
  const legend = lines.map((line, at) => el("li", {}, el("i", { class: line.kind }), `${line.name} `, values[at]));
  const figure = el(
    "figure",
    { class: "chart sheet" },
    el("figcaption", {}, el("h3", {}, title), el("ul", { class: "legend" }, legend)),
    el("div", { class: "plot" }, drawing, top),
    el("div", { class: "ends faint small", "aria-hidden": "true" }, from, to),
  );
  let drawn = [];
  let span = SPAN;

  figure.draw = (points, step) => {
    drawn = points;
    const last = points.at(-1)?.at ?? 0;
    span = Math.max(SPAN, last - (points[0]?.at ?? last));
    const highest = roundUp(Math.max(0, ...points.flatMap((point) => lines.map((line) => line.of(point) ?? 0))));
    const place = (point, value) => [
      WIDTH - (WIDTH * (last - point.at)) / span,
      HEIGHT - 2 - ((HEIGHT - 6) * value) / (highest || 1),
    ];
    fill(drawing, lines.map((line) => svg("path", { class: line.kind, d: path(points, line.of, place, step) })));
    fill(top, highest ? show(highest) : "");
    fill(from, points.length ? ago(span) : "");
    fill(to, points.length ? "now" : "nothing yet");
    name(points.at(-1));
  };

  const name = (point, when = "now") => {
    lines.forEach((line, at) => fill(values[at], (point && show(line.of(point))) || "–"));
    const words = lines.map((line, at) => `${line.name} ${values[at].textContent}`).join(", ");
    drawing.setAttribute("aria-label", `${title}, ${when}: ${words}`);
  };

  // the values at the pointer take the place of the newest
  drawing.addEventListener("pointermove", (event) => {
    const box = drawing.getBoundingClientRect();
    const last = drawn.at(-1)?.at;
    const at = last - span * (1 - (event.clientX - box.left) / box.width);
    const near = (one, other) => (Math.abs(one.at - at) <= Math.abs(other.at - at) ? one : other);
    if (!drawn.length) return;
    const point = drawn.reduce(near);
    name(point);
    fill(to, ago(last - point.at));
  });
  drawing.addEventListener("pointerleave", () => {
    name(drawn.at(-1));
    fill(to, drawn.length ? "now" : "nothing yet");
  });
  return figure;
}

function ago(time) {
  const minutes = Math.round(time / 60);
  return minutes ? `${minutes} min ago` : "now";
}

function path(points, of, place, step) {
  let down = false;
  let before = 0;
  const parts = [];
  for (const point of points) {
    const value = of(point);
    if (value === undefined || value === null) {
      down = false;
      continue;
    }
    const [x, y] = place(point, value).map((number) => number.toFixed(1));
    const goesOn = down && point.at - before < 2.5 * step;
    // a point alone is a short line
    parts.push(goesOn ? `L${x} ${y}` : `M${x} ${y}h.1`);
    down = true;
    before = point.at;
  }
  return parts.join("");
}

function roundUp(value) {
  if (value <= 0) return 0;
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 2.5, 5, 10].find((step) => step * power >= value * 0.999);
}
