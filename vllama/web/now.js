// The view Now: the machine, the engines, who waits, and lines of the last 15 minutes.

import { el, fill } from "./dom.js";
import { digits, seconds } from "./format.js";
import { chart } from "./components/chart.js";
import { engine } from "./components/engine.js";
import { machine } from "./components/machine.js";

export function show(root, { live }) {
  const about = el("p", { class: "faint" });
  const devices = el("div", { class: "grid wide" });
  const engines = el("div", { class: "grid" });
  const waiting = el("section", { hidden: true });
  const charts = makeCharts();
  fill(
    root,
    el("h1", {}, "Now"),
    about,
    el("section", { "aria-label": "Machine" }, devices),
    el("section", {}, el("h2", {}, "Engines"), engines),
    waiting,
    el("section", {}, el("h2", {}, "Last 15 minutes"), el("div", { class: "grid" }, charts)),
  );

  const showStatus = (status) => {
    if (!status) {
      fill(about, "Waiting for the service's status.");
      return;
    }
    fill(about, summary(status));
    fill(devices, machine(status));
    const none = el("p", { class: "faint" }, "None is loaded. The first request for a model loads it.");
    const views = status.engines.filter(({ phase }) => phase !== "absent");
    fill(engines, views.length ? views.map((view) => engine(view, clock(status))) : none);
    waiting.hidden = !status.waiting?.length;
    fill(waiting, el("h2", {}, "Waiting"), el("ul", { class: "sheet plain" }, (status.waiting ?? []).map(waits)));
  };
  const showHistory = ({ points, step }) => charts.forEach((one) => one.draw(points, step));
  showStatus(live.status);
  showHistory(live.history);
  const ends = [live.on("status", showStatus), live.on("history", showHistory)];
  return () => ends.forEach((end) => end());
}

const clock = (status) => status.now ?? Date.now() / 1000;

function placeOf(address) {
  return address?.host ? `${address.host}:${address.port}` : address;
}

function summary(status) {
  return [
    `vLLama ${status.version}`,
    status.engine_version && `vLLM ${status.engine_version}`,
    status.state !== "ready" && status.state,
    `up ${seconds(Math.max(0, Math.round(clock(status) - status.started)))}`,
    placeOf(status.address),
  ]
    .filter(Boolean)
    .join(" · ");
}

function waits({ model, requests, why }) {
  const words = requests === 1 ? "1 request waits" : `${requests} requests wait`;
  const cause = why?.startsWith(`${model}: `) ? why.slice(model.length + 2) : why;
  return el("li", {}, el("b", {}, model), `: ${words}${cause ? `: ${cause}` : ""}`);
}

function makeCharts() {
  const of = (name) => (point) => point[name];
  return [
    chart("Tokens/s", [{ name: "generated", kind: "a", of: of("tokens_per_second") }], digits),
    chart("Requests/s", [{ name: "ended", kind: "a", of: of("requests_per_second") }], digits),
    chart(
      "Time to the first token",
      [
        { name: "p50", kind: "a", of: of("ttft_p50") },
        { name: "p95", kind: "b", of: of("ttft_p95") },
      ],
      seconds,
    ),
    chart("Time between tokens", [{ name: "p50", kind: "a", of: of("itl_p50") }], seconds),
    chart(
      "Requests",
      [
        { name: "running", kind: "a", of: of("running") },
        { name: "waiting", kind: "b", of: of("waiting") },
      ],
      digits,
    ),
  ];
}
