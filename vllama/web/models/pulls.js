// Downloads that this page has begun. They go on while another view is shown.

import * as api from "../api.js";

/** By name: `{name, words, share, error, done, cancel}`; newest last. */
export const pulls = new Map();
const listeners = new Set();

/** Calls `take()` after each change; returns what ends that. */
export function watch(take) {
  listeners.add(take);
  return () => listeners.delete(take);
}

export async function pull(name) {
  const stop = new AbortController();
  const one = { name, words: "starting", share: undefined, cancel: () => stop.abort() };
  pulls.set(name, one);
  const parts = new Map();
  tell();
  try {
    const asked = { method: "POST", body: { model: name }, signal: stop.signal };
    for await (const line of api.objects("/api/pull", asked)) {
      if (line.error) throw new Error(line.error);
      if (line.digest && line.total) parts.set(line.digest, line);
      const [done, total] = [...parts.values()].reduce(([a, b], part) => [a + (part.completed ?? 0), b + part.total], [0, 0]);
      Object.assign(one, { words: line.status, completed: done, total, share: total ? done / total : undefined });
      one.done = line.status === "success";
      tell();
    }
    if (!one.done) throw new Error("The connection ended. Pull it again: what was fetched is kept.");
  } catch (error) {
    if (error.name === "AbortError") one.error = "Cancelled. What was fetched is kept.";
    else Object.assign(one, { error: error.message, needsKey: error.needsKey });
  }
  tell();
}

function tell() {
  for (const take of listeners) take();
}
