// The view Usage.

import { el, fill } from "./dom.js";

export function show(root) {
  fill(root, el("h1", {}, "Usage"));
}
