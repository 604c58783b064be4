// One engine: what it does, how full it is, what is wrong with it.

import { el } from "../dom.js";
import { bytes, count, digits, percent, seconds } from "../format.js";
import { gauge } from "./bar.js";

/** A card. `now`: the service's clock, in Unix seconds. */
export function engine(view, now) {
  return el(
    "article",
    { class: "engine sheet" },
    el("div", { class: "row head" }, el("h3", {}, view.name), el("span", { class: `badge end ${view.phase}` }, view.phase)),
    loading(view),
    view.kv_used !== undefined && kv(view),
    view.cause && el("p", { class: "cause" }, view.cause, view.hint && ` ${view.hint}`),
    el("dl", { class: "facts" }, facts(view, now).map(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
  );
}

function loading({ stage, percent: done }) {
  if (!stage && done === undefined) return null;
  const words = [stage ?? "loading", done !== undefined && `about ${Math.round(done)} % of the load`].filter(Boolean).join(", ");
  const bar = gauge(done === undefined ? undefined : done / 100, words, "progressbar");
  return el("div", { class: "loading" }, bar, el("span", { class: "small" }, words));
}

function kv({ kv_used: used }) {
  const words = `KV cache ${percent(used)} used`;
  return el("div", { class: "loading" }, gauge(used, words), el("span", { class: "small" }, words));
}

function facts(view, now) {
  const running = view.running ?? view.leases;
  return [
    ["Requests", [count(running), view.max_requests && ` of ${count(view.max_requests)} at once`].filter(Boolean).join("")],
    ["Waiting", view.waiting ? count(view.waiting) : ""],
    ["Speed", view.tokens_per_second !== undefined ? `${digits(view.tokens_per_second)} tokens/s` : ""],
    ["Context", view.context_length ? `${count(view.context_length)} tokens` : ""],
    ["KV cache", [bytes(view.kv_cache), view.kv_tokens && `${count(view.kv_tokens)} tokens`].filter(Boolean).join(", ")],
    ["Size", bytes(view.size)],
    ["On", where(view)],
    [view.phase === "ready" ? "Ready for" : "Since", seconds(Math.max(0, now - view.since))],
    ["Unloads", leaves(view, now)],
    ["Restarts", view.restarts ? count(view.restarts) : ""],
  ].filter(([, value]) => value);
}

/** Where it runs: "cpu" or indexes of GPUs; empty while that is not known. */
export const placesOf = ({ device, gpus }) => [device ?? gpus ?? []].flat();

function where(view) {
  const places = placesOf(view);
  if (!places.length) return "";
  return places[0] === "cpu" ? "CPU" : `GPU ${places.join(", ")}`;
}

function leaves({ expires_at: at }, now) {
  if (at === undefined) return "";
  return at === null ? "never" : `in ${seconds(Math.max(0, Math.round(at - now)))}`;
}
