// The view Health: the doctor's checks, the objectives, the last failures, the versions.

import { el, fill } from "./dom.js";
import { count, digits, moment, percent, seconds } from "./format.js";
import { gauge } from "./components/bar.js";
import { problem } from "./components/notice.js";

const EACH = 30_000;
const RANK = { error: 0, warning: 1, ok: 2 };

export function show(root, { api, askForKey }) {
  const place = el("div", {}, el("p", { class: "faint" }, "Checking the machine and the service."));
  const again = el("button", { type: "button", class: "end", onclick: load }, "Check again");
  fill(root, el("div", { class: "row title" }, el("h1", {}, "Health"), again), place);
  let gone = false;

  async function load() {
    again.disabled = true;
    try {
      const health = await api.json("/vllama/health");
      if (!gone) fill(place, report(health));
    } catch (error) {
      if (!gone) fill(place, problem(error, () => askForKey(error.message)));
    }
    again.disabled = false;
  }

  const timer = setInterval(() => document.hidden || load(), EACH);
  load();
  return () => {
    gone = true;
    clearInterval(timer);
  };
}

function report({ checks = [], failures = [], slos = [], versions = {} }) {
  const sorted = [...checks].sort((one, other) => RANK[one.state] - RANK[other.state]);
  return [
    section("Checks", el("ul", { class: "sheet checks" }, sorted.map(check)), !checks.length && "There are none."),
    section("Objectives", el("div", { class: "grid" }, slos.map(objective)), !slos.length && "None is configured."),
    section("Last failures", el("ul", { class: "sheet checks" }, failures.map(failure)), !failures.length && "None."),
    section("Versions", el("div", { class: "sheet" }, el("dl", { class: "facts" }, Object.entries(versions).map(pair))), false),
  ];
}

const section = (title, content, empty) =>
  el("section", {}, el("h2", {}, title), empty ? el("p", { class: "faint" }, empty) : content);

const pair = ([name, value]) => [el("dt", {}, name), el("dd", {}, value)];

function check({ name, state, text, hint }) {
  return el(
    "li",
    {},
    el("span", { class: `badge ${state}` }, state),
    el("div", {}, el("b", {}, name), `: ${text}`, hint && el("p", { class: "faint small" }, hint)),
  );
}

function failure({ at, model, cause, hint }) {
  return el(
    "li",
    {},
    el("time", { class: "faint", datetime: new Date(1000 * at).toISOString() }, moment(at)),
    el("div", {}, el("b", { class: "name" }, model), `: ${cause}`, hint && el("p", { class: "faint small" }, hint)),
  );
}

function objective(slo) {
  const left = slo.budget_left ?? 1;
  const words = left < 0 ? `overspent by ${percent(-left)}` : `${percent(left)} left`;
  const state = left < 0 ? "error" : left < 0.25 ? "warning" : "ok";
  return el(
    "article",
    { class: "sheet" },
    el("div", { class: "row head" }, el("h3", {}, slo.name), el("span", { class: `badge end ${state}` }, words)),
    el("p", { class: "small" }, promise(slo)),
    gauge(left, `error budget: ${words}`),
    el(
      "dl",
      { class: "facts" },
      pair(["Kept", `${count(slo.good)} of ${count(slo.requests)} (${percent(slo.requests ? slo.good / slo.requests : 1, 2)})`]),
      pair(["Burn rate", Object.entries(slo.burn ?? {}).map(([over, rate]) => `${over} ${digits(rate)}`).join(" · ")]),
    ),
  );
}

function promise({ objective: what, target, threshold, over }) {
  const share = `${digits(100 * target)} %`;
  const time = typeof over === "number" ? seconds(over) : over;
  if (threshold) return `${what} within ${seconds(threshold)} for ${share} of requests, over ${time}`;
  return `${what} for ${share} of requests, over ${time}`;
}
