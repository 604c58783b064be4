// The view Requests: those that are being answered, and the last 500. Never what they say.

import { el, fill } from "./dom.js";
import { count, digits, moment, seconds } from "./format.js";
import { problem } from "./components/notice.js";
import { table } from "./components/table.js";

const KEPT = 500;
const EACH = 2000;

export function show(root, { api, live, askForKey }) {
  const trouble = el("div", { role: "status" });
  const filter = el("input", { id: "filter", type: "search", autocomplete: "off" });
  const failed = el("input", { id: "failed", type: "checkbox" });
  const running = table("Requests that are being answered", [...LIVE, cancelColumn(cancel)], (one) => `${one.id} ${one.began}`);
  const past = table("Requests that have ended", ENDED, (one) => `${one.id} ${one.began}`);
  const idle = el("p", { class: "faint" }, "None at the moment.");
  const shown = el("p", { class: "faint small" });
  let known = { live: [], ended: [] };
  let stale = true;

  fill(
    root,
    el("h1", {}, "Requests"),
    trouble,
    el("section", { class: "sheet" }, el("h2", {}, "Being answered"), running, idle),
    el(
      "section",
      { class: "sheet" },
      el("h2", {}, "Ended"),
      el(
        "div",
        { class: "fields" },
        el("label", { for: "filter" }, "Only with these words", filter),
        el("label", { class: "check", for: "failed" }, failed, "Only failed ones"),
      ),
      past,
      shown,
    ),
  );

  function draw() {
    running.show(known.live);
    running.hidden = !known.live.length;
    idle.hidden = Boolean(known.live.length);
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const fits = known.ended.filter((one) => matches(one, words) && (!failed.checked || one.outcome === "failed"));
    past.show(fits);
    past.hidden = !fits.length;
    fill(shown, known.ended.length ? `${count(fits.length)} of the last ${count(known.ended.length)}` : "None yet.");
  }

  async function load() {
    stale = false;
    try {
      known = await api.json("/vllama/requests");
      fill(trouble);
      draw();
    } catch (error) {
      fill(trouble, problem(error, () => askForKey(error.message)));
    }
  }

  async function cancel(id) {
    try {
      await api.call(`/vllama/requests/${encodeURIComponent(id)}`, { method: "DELETE" });
    } catch (error) {
      fill(trouble, problem(error, () => askForKey(error.message)));
      return;
    }
    await load();
  }

  filter.addEventListener("input", draw);
  failed.addEventListener("change", draw);
  const timer = setInterval(() => {
    if (!document.hidden && (stale || known.live.length)) load();
  }, EACH);
  const ends = [
    live.on("status", () => (stale = true)),
    live.on("request", (one) => {
      known.live = known.live.filter(({ id }) => id !== one.id);
      known.ended = [one, ...known.ended.filter(({ id, began }) => id !== one.id || began !== one.began)].slice(0, KEPT);
      draw();
    }),
    () => clearInterval(timer),
  ];
  load();
  return () => ends.forEach((end) => end());
}

const WHO = [
  { name: "Model", wide: true, of: (one) => [el("b", { class: "name" }, one.model), el("div", { class: "faint small" }, one.route)] },
  { name: "From", wide: true, of: from },
];
const NUMBERS = [
  { name: "Prompt", number: true, of: (one) => count(one.prompt_tokens) },
  { name: "Cached", number: true, of: (one) => (one.cached_tokens ? count(one.cached_tokens) : "") },
  { name: "Generated", number: true, of: (one) => count(one.generated_tokens) },
  { name: "Waited", number: true, of: (one) => seconds(one.waiting) },
  { name: "First token", number: true, of: (one) => seconds(one.ttft) },
  { name: "Tokens/s", number: true, of: (one) => digits(one.tokens_per_second) },
  { name: "Time", number: true, of: (one) => seconds(one.seconds) },
];
const BEGAN = { name: "Began", of: (one) => moment(one.began) };
const LIVE = [...WHO, BEGAN, { name: "Phase", of: (one) => el("span", { class: "badge" }, one.phase) }, ...NUMBERS];
const ENDED = [...WHO, BEGAN, { name: "Outcome", of: outcome }, ...NUMBERS];

function cancelColumn(cancel) {
  const button = (one) => {
    const label = `Cancel the request of ${one.model} from ${one.caller}`;
    return el("button", { type: "button", class: "quiet danger", "aria-label": label, onclick: () => cancel(one.id) }, "Cancel");
  };
  return { name: "", of: button };
}

function from({ person, key, caller }) {
  const [first, ...others] = [person, key, caller].filter(Boolean);
  return [first, others.length > 0 && el("div", { class: "faint small" }, others.join(" · "))];
}

function outcome({ outcome: how, status }) {
  const words = status && status !== 200 ? `${how} ${status}` : how;
  return el("span", { class: `badge ${how}` }, words);
}

function matches(one, words) {
  const text = Object.values(one).join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}
