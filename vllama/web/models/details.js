// The dialog with what is known of a model.

import { el, fill } from "../dom.js";
import { count } from "../format.js";

export function details(name, api) {
  const body = el("div", {}, el("p", { class: "faint" }, "Loading …"));
  const dialog = el(
    "dialog",
    { "aria-labelledby": "model-title", class: "large" },
    el("h2", { id: "model-title" }, name),
    body,
    el("form", { method: "dialog", class: "buttons" }, el("button", {}, "Close")),
  );
  document.body.append(dialog);
  dialog.addEventListener("close", () => dialog.remove());
  dialog.showModal();
  api.json("/api/show", { method: "POST", body: { model: name } }).then(
    (found) => fill(body, facts(found), texts(found)),
    (error) => fill(body, el("p", {}, error.message)),
  );
}

function facts({ details: one = {}, model_info: info = {}, capabilities = [], parameters }) {
  const context = Object.entries(info).find(([key]) => key.endsWith(".context_length"))?.[1];
  const rows = [
    ["Family", one.family],
    ["Parameters", one.parameter_size],
    ["Precision", one.quantization_level],
    ["Context", context && `${count(context)} tokens`],
    ["Can", capabilities.join(", ")],
    ["Set", parameters],
  ].filter(([, value]) => value);
  return el("dl", { class: "facts" }, rows.map(([key, value]) => [el("dt", {}, key), el("dd", { class: "said" }, value)]));
}

function texts({ system, license }) {
  return [["System prompt", system], ["Licence", license]]
    .filter(([, value]) => value)
    .map(([title, value]) => el("details", {}, el("summary", {}, title), el("pre", {}, value.slice(0, 20_000))));
}
