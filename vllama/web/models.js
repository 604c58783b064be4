// The view Models: those that are here, downloads, new ones.

import { el, fill } from "./dom.js";
import { bytes, percent } from "./format.js";
import { gauge } from "./components/bar.js";
import { notice, problem } from "./components/notice.js";
import { table } from "./components/table.js";
import { details } from "./models/details.js";
import { pull, pulls, watch } from "./models/pulls.js";

// Phases of an engine that holds memory.
const HELD = new Set(["planning", "starting", "warming", "ready", "draining", "dozing", "asleep", "waking"]);

export function show(root, { api, live, askForKey }) {
  const trouble = el("div", { role: "status" });
  const place = table("Models on this machine", columns(), ({ name }) => name);
  const none = el("p", { class: "faint", hidden: true }, "There are none yet. Pull one below.");
  const name = el("input", { id: "pull-name", autocomplete: "off", spellcheck: "false", placeholder: "qwen3:0.6b", required: true });
  const verdict = el("div", { role: "status" });
  const going = el("div", { class: "pulls" });
  const made = { name: field("create-name", "Name"), from: field("create-from", "From the model"), system: el("textarea", { id: "create-system", rows: 3 }), temperature: field("create-temperature", "Temperature", { type: "number", step: "0.1" }) };
  const created = el("div", { role: "status" });
  let engines = new Map();
  let known = [];
  let complete = 0;

  fill(
    root,
    el("h1", {}, "Models"),
    trouble,
    el("section", { class: "sheet" }, el("h2", {}, "On this machine"), place, none),
    el(
      "section",
      { class: "sheet" },
      el("h2", {}, "Pull a model"),
      el(
        "form",
        { class: "fields", onsubmit: begin },
        el("label", { for: "pull-name" }, "A name of the catalogue, or org/name of the hub", name),
        el("div", { class: "buttons" }, el("button", { type: "button", onclick: plan }, "Does it fit?"), el("button", { class: "main" }, "Pull")),
      ),
      verdict,
      going,
    ),
    el(
      "section",
      { class: "sheet" },
      el("h2", {}, "Create a model"),
      el("p", { class: "faint" }, "A model with a system prompt and parameters of its own. It takes no further space."),
      el(
        "form",
        { onsubmit: create },
        el("div", { class: "fields" }, labelled(made.name), labelled(made.from), labelled(made.temperature)),
        el("label", { for: "create-system", class: "block" }, "System prompt", made.system),
        el("div", { class: "buttons" }, el("button", { class: "main" }, "Create")),
      ),
      created,
    ),
  );

  function columns() {
    const button = (words, one, act, kind = "quiet") =>
      el("button", { type: "button", class: kind, onclick: act, "aria-label": `${words} ${one.name}` }, words);
    return [
      { name: "Name", wide: true, of: (one) => el("span", { class: "name" }, one.name) },
      { name: "Size", number: true, of: ({ size }) => bytes(size) },
      { name: "Parameters", number: true, of: ({ details: one }) => one?.parameter_size },
      { name: "Precision", of: ({ details: one }) => one?.quantization_level },
      { name: "State", of: ({ phase }) => phase && el("span", { class: `badge ${phase}` }, phase) },
      {
        name: "",
        wide: true,
        of: (one) =>
          el(
            "div",
            { class: "buttons" },
            el("a", { class: "button quiet", href: `#/chat/${encodeURIComponent(one.name)}`, "aria-label": `Chat with ${one.name}` }, "Chat"),
            button("Details", one, () => details(one.name, api)),
            HELD.has(one.phase)
              ? button("Unload", one, () => act("/api/generate", { model: one.name, keep_alive: 0 }))
              : button("Load", one, () => act("/api/generate", { model: one.name })),
            button("Delete", one, () => drop(one.name), "quiet danger"),
          ),
      },
    ];
  }

  function draw() {
    const rows = known.map(({ name: one, size, details: more }) => ({ name: one, size, details: more, phase: engines.get(one) }));
    place.show(rows);
    place.hidden = !rows.length;
    none.hidden = Boolean(rows.length);
  }

  async function load() {
    try {
      known = (await api.json("/api/tags")).models;
      draw();
    } catch (error) {
      refused(trouble, error);
    }
  }

  function refused(where, error) {
    fill(where, problem(error, () => askForKey(error.message)));
  }

  async function act(path, body, method = "POST") {
    try {
      await (await api.call(path, { method, body: { ...body, stream: false } })).text();
      fill(trouble);
    } catch (error) {
      refused(trouble, error);
    }
    await load();
  }

  function drop(one) {
    const dialog = el(
      "dialog",
      { "aria-labelledby": "drop-title" },
      el("h2", { id: "drop-title" }, `Delete ${one}?`),
      el("p", {}, "Its files are deleted unless another model uses them."),
      el(
        "form",
        { method: "dialog", class: "buttons" },
        el("button", { value: "delete", class: "danger" }, "Delete"),
        el("button", { value: "", autofocus: true }, "Keep"),
      ),
    );
    document.body.append(dialog);
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (dialog.returnValue === "delete") act("/api/delete", { model: one }, "DELETE");
    });
    dialog.showModal();
  }

  async function plan() {
    if (!name.reportValidity()) return;
    fill(verdict, el("p", { class: "faint" }, "Looking …"));
    try {
      const found = await api.json(`/vllama/plan?model=${encodeURIComponent(name.value.trim())}`);
      const kind = found.fits === false ? "warning" : "info";
      fill(verdict, notice(kind, found.verdict ?? "Nothing is known of this model before it is pulled."));
    } catch (error) {
      refused(verdict, error);
    }
  }

  async function begin(event) {
    event.preventDefault();
    const wanted = name.value.trim();
    if (!pulls.has(wanted) || pulls.get(wanted).error || pulls.get(wanted).done) {
      name.value = "";
      fill(verdict);
      pull(wanted);
    }
  }

  function followPulls() {
    drawPulls();
    const now = [...pulls.values()].filter(({ done }) => done).length;
    if (now > complete) load();
    complete = now;
  }

  function drawPulls() {
    fill(
      going,
      [...pulls.values()].map((one) => {
        const over = one.done || one.error;
        const amount = one.total ? `${bytes(one.completed)} of ${bytes(one.total)}, ${percent(one.share)}` : "";
        const close = () => {
          pulls.delete(one.name);
          drawPulls();
        };
        return el(
          "div",
          { class: "pull" },
          el("div", { class: "row" }, el("span", { class: "name" }, one.name), el("span", { class: "faint small" }, one.error ? "" : `${one.done ? "complete:" : one.words} ${amount}`), el("button", { type: "button", class: "quiet end", onclick: over ? close : one.cancel }, over ? "Close" : "Cancel")),
          one.error ? problem({ message: one.error, needsKey: one.needsKey }, () => askForKey(one.error)) : gauge(one.done ? 1 : one.share, `Download of ${one.name}`, "progressbar"),
        );
      }),
    );
  }

  async function create(event) {
    event.preventDefault();
    const body = { model: made.name.value.trim(), from: made.from.value.trim(), stream: false };
    if (made.system.value.trim()) body.system = made.system.value.trim();
    if (made.temperature.value !== "") body.parameters = { temperature: Number(made.temperature.value) };
    fill(created, el("p", { class: "faint" }, "Creating …"));
    try {
      await api.json("/api/create", { method: "POST", body });
      fill(created, notice("info", `${body.model} was created.`));
      event.target.reset();
    } catch (error) {
      refused(created, error);
    }
    await load();
  }

  function takeStatus(status) {
    engines = new Map((status?.engines ?? []).map((one) => [one.name, one.phase]));
    draw();
  }

  const ends = [watch(followPulls), live.on("status", takeStatus), live.on("history", load)];
  takeStatus(live.status);
  drawPulls();
  load();
  return () => ends.forEach((end) => end());
}

function field(id, title, more = {}) {
  const made = el("input", { id, autocomplete: "off", spellcheck: "false", required: !more.type, ...more });
  made.title = title;
  return made;
}

function labelled(made) {
  return el("label", { for: made.id }, made.title, made);
}
