// The memory of the machine: each GPU, and the RAM, as a bar.

import { el } from "../dom.js";
import { bytes, count, digits, percent } from "../format.js";
import { bar } from "./bar.js";
import { placesOf } from "./engine.js";

/** One sheet a device, of a status. */
export function machine(status) {
  const { gpus = [], memory, cores } = status.machine ?? {};
  const sheets = gpus.map((gpu) => device(gpuTitle(gpu), gpuFacts(gpu), gpu, status.engines, gpu.index));
  if (memory) {
    const rest = Math.max(0, memory.used - (memory.engines ?? 0));
    const facts = cores ? [`${cores} ${cores === 1 ? "core" : "cores"}`] : [];
    sheets.push(device("Memory", facts, { ...memory, other: memory.other ?? rest }, status.engines, "cpu"));
  }
  return sheets;
}

const gpuTitle = (gpu) => `GPU ${gpu.index} · ${gpu.name}`;

function gpuFacts({ utilization, power, temperature }) {
  return [
    utilization !== undefined && `${percent(utilization)} busy`,
    power !== undefined && `${digits(power)} W`,
    temperature !== undefined && `${count(temperature)} °C`,
  ].filter(Boolean);
}

function device(title, facts, memory, engines, where) {
  return el(
    "div",
    { class: "device sheet" },
    el("div", { class: "row" }, el("h3", {}, title), el("span", { class: "end faint small" }, facts.join(" · "))),
    bar(partsOf(memory, engines, where), memory.total, bytes),
    el("p", { class: "faint small" }, `${bytes(memory.used)} of ${bytes(memory.total)} in use`),
  );
}

function partsOf(memory, engines, where) {
  let weights = 0;
  let cache = 0;
  for (const engine of engines) {
    const devices = placesOf(engine);
    if (!devices.includes(where)) continue;
    weights += (engine.weights ?? 0) / devices.length;
    cache += (engine.kv_cache ?? 0) / devices.length;
  }
  // what is planned may not be used yet, while an engine loads: the parts together are what is used
  const ours = Math.max(0, memory.engines ?? memory.used - (memory.other ?? 0));
  weights = Math.min(weights, ours);
  cache = Math.min(cache, ours - weights);
  return [
    { name: "Weights", kind: "weights", size: weights },
    { name: "KV cache", kind: "cache", size: cache },
    { name: weights + cache ? "Engines, other" : "Engines", kind: "engines", size: ours - weights - cache },
    { name: "Other programs", kind: "others", size: memory.other ?? 0 },
    { name: "Free", kind: "free", size: memory.free ?? memory.total - memory.used },
  ];
}
