// A sentence in a box, for what a reader should know or do.

import { el } from "../dom.js";

/** `kind`: "info", "warning" or "error". `more`: elements below the sentence, such as a button. */
export function notice(kind, text, ...more) {
  return el("div", { class: `notice ${kind}` }, el("p", {}, text), more);
}

/** What to show instead of data that the service refused. `onKey` is called when the reader wants to enter a key. */
export function problem(error, onKey) {
  const button = error.needsKey && onKey && el("button", { type: "button", onclick: onKey }, "Enter a key");
  return notice("warning", error.message, button);
}
