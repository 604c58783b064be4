// The dialog that asks for an API key.

import { el } from "../dom.js";
import * as api from "../api.js";

/** Asks for a key; `why` is the sentence above the field. True when one was given (or taken away), else false. */
export function askForKey(why) {
  const field = el("input", { id: "key-field", type: "password", autocomplete: "off", spellcheck: "false" });
  const dialog = el(
    "dialog",
    { "aria-labelledby": "key-title" },
    el(
      "form",
      { method: "dialog" },
      el("h2", { id: "key-title" }, "API key"),
      el("p", {}, why),
      el("label", { for: "key-field" }, "Key"),
      field,
      el("p", { class: "faint" }, "Kept for this tab only. 'vllama keys add' on the server makes one."),
      el(
        "p",
        { class: "buttons" },
        el("button", { value: "use", class: "main" }, "Use this key"),
        api.key() && el("button", { value: "forget" }, "Forget the key"),
        el("button", { value: "" , formnovalidate: true }, "Cancel"),
      ),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener("close", () => {
      const secret = field.value.trim();
      const given = dialog.returnValue === "use" && secret !== "";
      const forgotten = dialog.returnValue === "forget";
      dialog.remove();
      if (given || forgotten) api.keepKey(given ? secret : "");
      done(given || forgotten);
    });
  });
}
