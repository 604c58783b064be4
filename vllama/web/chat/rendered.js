// An element that shows Markdown: as text at once, formatted by the service soon after.

import * as api from "../api.js";
import { el } from "../dom.js";

const SOONEST = 400; // ms between two renderings of a text that grows
const LONGEST = 60_000; // characters that are formatted while they grow; longer ones when they are complete

/** `made.show(text, complete)`; what the service can't format stays text. */
export function rendered() {
  const made = el("div", { class: "markdown" });
  let shown = "";
  let wanted = "";
  let complete = false;
  let busy = false;
  let due = 0;

  async function format() {
    if (busy || wanted === shown) return;
    busy = true;
    const text = wanted;
    const began = performance.now();
    try {
      const response = await api.call("/vllama/markdown", { method: "POST", body: new Blob([text]) });
      const parsed = new DOMParser().parseFromString(await response.text(), "text/html");
      if (wanted.startsWith(text)) made.replaceChildren(...parsed.body.childNodes);
      shown = text;
    } catch {
      made.classList.add("plain");
      made.textContent = wanted;
      shown = wanted;
    } finally {
      busy = false;
      due = performance.now() + Math.max(SOONEST, 5 * (performance.now() - began));
    }
    if (complete) format();
  }

  made.show = (text, whole) => {
    wanted = text;
    complete = whole;
    if (!shown && !made.firstChild) made.textContent = text;
    if (whole || (text.length <= LONGEST && performance.now() >= due)) format();
    else if (text.length > LONGEST && !busy) {
      made.textContent = text;
    }
  };
  return made;
}
