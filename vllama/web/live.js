// What the service sends by itself: its status, the history of the last 15 minutes, requests that ended.
// One stream feeds all views. It is closed while the tab is hidden: browsers allow six connections to a service.

import * as api from "./api.js";

const RETRY = 2000;
const SOON = 300;
const HIDDEN = 5000;
const POINTS = 90;

/** What is known: `status`, `history` and `link` ("connecting", "up", "lost", "refused", "missing"). */
export class Live {
  constructor() {
    this.status = null;
    this.history = { step: 10, points: [] };
    this.link = "connecting";
    this.problem = null;
    this.version = null;
    this.listeners = new Map();
    this.stopped = null;
    document.addEventListener("visibilitychange", () => this.turn());
  }

  /** Calls `listener(value)` at each "status", "history", "request", "link" or "hello". Returns what ends that. */
  on(event, listener) {
    const those = this.listeners.get(event) ?? new Set();
    this.listeners.set(event, those.add(listener));
    return () => those.delete(listener);
  }

  /** Begins; called again after a change of the key. */
  start() {
    this.stop();
    this.to("connecting");
    this.stopped = new AbortController();
    this.run(this.stopped.signal);
  }

  stop() {
    this.stopped?.abort();
    this.stopped = null;
  }

  turn() {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.stop(), HIDDEN);
    else if (!this.stopped) this.start();
  }

  async run(signal) {
    while (!signal.aborted) {
      let came = false;
      try {
        for await (const { event, data } of api.events("/vllama/events", { signal })) {
          if (this.link !== "up") {
            this.to("up");
            this.past(signal);
          }
          came = true;
          this.take(event, data);
        }
      } catch (error) {
        if (signal.aborted) return;
        if (!came) this.to(linkAfter(error), error);
        if (error.needsKey) return; // goes on with a new key
      }
      if (came) this.to("connecting"); // it was up: try at once, and say only then that nobody answers
      await new Promise((done) => setTimeout(done, came ? SOON : this.link === "missing" ? 10 * RETRY : RETRY));
    }
  }

  async past(signal) {
    try {
      this.history = await api.json("/vllama/history", { signal });
      this.tell("history", this.history);
    } catch {
      // the stream says what is wrong
    }
  }

  take(event, data) {
    if (event === "hello") this.version = data.version;
    if (event === "status") this.status = data;
    if (event === "history") {
      this.history.points = [...this.history.points.filter((point) => point.at < data.at), data].slice(-POINTS);
      this.tell("history", this.history);
    } else this.tell(event, data);
  }

  to(link, problem = null) {
    this.problem = problem;
    if (link === this.link) return;
    this.link = link;
    this.tell("link", link);
  }

  tell(event, value) {
    for (const listener of this.listeners.get(event) ?? []) listener(value);
  }
}

function linkAfter(error) {
  if (error.needsKey) return "refused";
  return error.status === 404 ? "missing" : "lost";
}
