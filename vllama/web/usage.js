// The view Usage: what was used, by model, key, person, day, month or address, with CSV.

import { el, fill } from "./dom.js";
import { count, digits, seconds } from "./format.js";
import { notice, problem } from "./components/notice.js";
import { table } from "./components/table.js";

const BY = { model: "model", key: "key", person: "person", day: "day", month: "month", caller: "address" };
const SINCE = { "1d": "the last day", "7d": "the last 7 days", "30d": "the last 30 days", "365d": "the last year" };

export function show(root, { api, askForKey }) {
  const by = choice("by", BY, "model");
  const since = choice("since", SINCE, "7d");
  const place = el("div");
  const download = el("button", { type: "button", onclick: csv }, "Download as CSV");
  let turn = 0;

  fill(
    root,
    el("h1", {}, "Usage"),
    el(
      "form",
      { class: "fields", onsubmit: (event) => event.preventDefault() },
      el("label", { for: "by" }, "By", by),
      el("label", { for: "since" }, "During", since),
      download,
    ),
    place,
  );

  const query = (more = "") => `/vllama/usage?by=${by.value}&since=${since.value}${more}`;
  const refused = (error) => fill(place, problem(error, () => askForKey(error.message)));

  async function load() {
    const mine = ++turn;
    try {
      const found = await api.json(query());
      if (mine === turn) fill(place, report(found, by.value));
    } catch (error) {
      if (mine === turn) refused(error);
    }
  }

  async function csv() {
    try {
      const file = await (await api.call(query("&format=csv"))).blob();
      const link = el("a", { href: URL.createObjectURL(file), download: `usage-by-${by.value}.csv` });
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (error) {
      refused(error);
    }
  }

  by.addEventListener("change", load);
  since.addEventListener("change", load);
  load();
  return () => (turn += 1);
}

function choice(id, options, chosen) {
  const made = Object.entries(options).map(([value, name]) => el("option", { value, selected: value === chosen }, name));
  return el("select", { id }, made);
}

function report({ rows, lost, currency, problem: trouble }, by) {
  const missing = [
    lost && `${count(lost)} requests are missing here: they could not be recorded.`,
    trouble && `Some may be missing here: ${trouble}.`,
  ];
  const warnings = missing.filter(Boolean).map((text) => notice("warning", text));
  if (!rows.length) return [warnings, notice("info", "Nothing was used in this time.")];
  const has = (name) => rows.some((row) => row[name] !== undefined);
  const columns = [
    { name: BY[by][0].toUpperCase() + BY[by].slice(1), wide: true, of: (row) => el("b", { class: "name" }, row[by] || "(none)") },
    { name: "Requests", number: true, of: (row) => count(row.requests) },
    { name: "Failed", number: true, of: (row) => count(row.failed) },
    { name: "Prompt tokens", number: true, of: (row) => count(row.prompt_tokens) },
    { name: "Cached", number: true, of: (row) => count(row.cached_tokens) },
    { name: "Generated", number: true, of: (row) => count(row.generated_tokens) },
    { name: "Engine time", number: true, of: (row) => seconds(row.engine_seconds) },
    has("joules") && { name: "Energy", number: true, of: (row) => energy(row.joules) },
    has("money") && { name: "Cost", number: true, of: (row) => money(row.money, currency) },
  ].filter(Boolean);
  const shown = table("Usage", columns, (row) => row[by] ?? "");
  shown.show(rows);
  shown.foot({ ...total(rows), [by]: "Total" });
  return [warnings, el("section", { class: "sheet" }, shown)];
}

/** The sum of each number; what no row knows stays unknown. */
function total(rows) {
  const sums = {};
  for (const row of rows) {
    for (const [name, value] of Object.entries(row)) if (typeof value === "number") sums[name] = (sums[name] ?? 0) + value;
  }
  return sums;
}

function energy(joules) {
  if (joules === undefined) return "";
  return joules < 3.6e5 ? `${digits(joules / 3600)} Wh` : `${digits(joules / 3.6e6)} kWh`;
}

function money(value, currency) {
  if (value === undefined) return "";
  const places = Math.abs(value) < 1 ? 4 : 2;
  return `${value.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: places })} ${currency ?? ""}`.trim();
}
