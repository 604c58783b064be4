// The view Chat: conversations with a model, kept in this browser.

import { el, fill } from "./dom.js";
import { notice, problem } from "./components/notice.js";
import { ask, running } from "./chat/answer.js";
import { message } from "./chat/message.js";
import { readPicture } from "./chat/pictures.js";
import { asJson, asMarkdown, begin, chats, remove, save } from "./chat/store.js";

const OPTIONS = [
  ["temperature", "Temperature", "0.1"],
  ["top_p", "Top p", "0.05"],
  ["num_predict", "Longest answer (tokens)", "1"],
  ["seed", "Seed", "1"],
];
const TITLE = 60;
let last = null; // the conversation that was shown, for who comes back to the view

export function show(root, { api, askForKey, words }) {
  let chat = chats.find(({ id }) => id === last) ?? chats[0] ?? begin("");
  let pictures = [];
  let shown = [];
  let here = true;

  const trouble = el("div", { role: "status" });
  const models = el("select", { id: "chat-model", onchange: () => choose(models.value) });
  const list = el("select", { id: "chat-list", onchange: () => open(chats.find(({ id }) => id === list.value)) });
  const system = el("textarea", { id: "chat-system", rows: 3, onchange: () => keep({ system: system.value.trim() }) });
  const fields = OPTIONS.map(([name, title, step]) => {
    const id = `chat-${name}`;
    const field = el("input", { id, type: "number", step, onchange: () => option(name, field.value) });
    field.name = name;
    return el("label", { for: id }, title, field);
  });
  const log = el("div", { class: "log", role: "log", "aria-label": "Conversation", tabindex: 0 });
  const text = el("textarea", { id: "chat-text", rows: 3, "aria-label": "Message", placeholder: "Write a message", onkeydown: keyed });
  const file = el("input", { id: "chat-file", type: "file", accept: "image/*", multiple: true, class: "hidden", onchange: attach });
  const picture = el("label", { for: "chat-file", class: "button", hidden: true }, "Picture", file);
  const attached = el("span", { class: "faint small", role: "status" });
  const send = el("button", { class: "main" }, "Send");
  const stop = el("button", { type: "button", hidden: true, onclick: () => running.get(chat.id)?.() }, "Stop");

  fill(
    root,
    el("h1", {}, "Chat"),
    trouble,
    el(
      "div",
      { class: "fields" },
      el("label", { for: "chat-model" }, "Model", models),
      el("label", { for: "chat-list" }, "Conversation", list),
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "button", onclick: () => open(begin(chat.model)) }, "New"),
        el("button", { type: "button", onclick: () => download("md", asMarkdown(chat)) }, "Export as Markdown"),
        el("button", { type: "button", onclick: () => download("json", asJson(chat)) }, "Export as JSON"),
        el("button", { type: "button", class: "danger", onclick: drop }, "Delete"),
      ),
    ),
    el(
      "details",
      { class: "sheet" },
      el("summary", {}, "System prompt and parameters"),
      el("label", { for: "chat-system", class: "block" }, "System prompt", system),
      el("div", { class: "fields" }, fields),
      el("p", { class: "faint small" }, "What is empty is the model's own."),
    ),
    log,
    el(
      "form",
      { class: "composer sheet", onsubmit: submit },
      text,
      el("div", { class: "row" }, picture, attached, el("span", { class: "end" }), stop, send),
    ),
  );

  function open(found) {
    chat = found;
    last = chat.id;
    if (!chat.model && models.value) chat.model = models.value;
    system.value = chat.system ?? "";
    for (const label of fields) label.lastChild.value = chat.options?.[label.lastChild.name] ?? "";
    chosen();
    named();
    draw();
  }

  function named() {
    fill(list, chats.map((one) => el("option", { value: one.id, selected: one === chat }, one.title || "New conversation")));
  }

  function draw() {
    shown = chat.messages.map((one) => message(one, actions, () => askForKey(one.error)));
    fill(log, shown.length ? shown : el("p", { class: "faint" }, "What you write stays in this browser and goes to the service only."));
    const busy = running.has(chat.id);
    for (const [at, one] of shown.entries()) one.show(!(busy && at === shown.length - 1));
    stop.hidden = !busy;
    send.disabled = busy;
    bottom(true);
  }

  function bottom(always) {
    const near = log.scrollHeight - log.scrollTop - log.clientHeight < 120;
    if (always || near) log.scrollTop = log.scrollHeight;
  }

  function actions(one) {
    if (running.has(chat.id)) return null;
    const at = chat.messages.indexOf(one);
    const button = (name, act) => el("button", { type: "button", class: "quiet", onclick: act }, name);
    if (one.role === "user") return button("Edit", () => edit(at));
    return [
      navigator.clipboard && button("Copy", () => navigator.clipboard.writeText(one.content)),
      at === chat.messages.length - 1 && button("Regenerate", () => regenerate(at)),
    ];
  }

  /** The message goes back into the field; sending it drops what came after. */
  function edit(at) {
    text.value = chat.messages[at].content;
    pictures = chat.messages[at].images ?? [];
    chat.messages.splice(at);
    named();
    draw();
    attachedWords();
    text.focus();
  }

  function regenerate(at) {
    chat.messages.splice(at);
    answer();
  }

  function submit(event) {
    event.preventDefault();
    const content = text.value.trim();
    if ((!content && !pictures.length) || running.has(chat.id)) return;
    if (!chat.model) return fill(trouble, notice("warning", "Choose a model first. Models are pulled in the view Models."));
    chat.messages.push(pictures.length ? { role: "user", content, images: pictures } : { role: "user", content });
    chat.title ||= content.slice(0, TITLE);
    text.value = "";
    pictures = [];
    attachedWords();
    named();
    answer();
  }

  function answer() {
    const mine = chat;
    let waiting = false;
    ask(mine, (done) => {
      if (done) {
        const told = save();
        if (here && told) fill(trouble, notice("warning", told));
      }
      if (!here || mine !== chat) return;
      if (done) draw();
      else if (!waiting) {
        waiting = true;
        requestAnimationFrame(() => {
          waiting = false;
          if (here && mine === chat && running.has(mine.id)) shown.at(-1)?.show(false);
          bottom(false);
        });
      }
    });
    chat.changed = Date.now();
    save();
    draw();
  }

  function keep(changes) {
    Object.assign(chat, changes);
    save();
  }

  function option(name, value) {
    const options = { ...chat.options };
    if (value === "") delete options[name];
    else options[name] = Number(value);
    keep({ options });
  }

  function choose(model) {
    keep({ model });
    chosen();
  }

  /** Models that see take pictures. */
  async function chosen() {
    if (chat.model) models.value = chat.model;
    picture.hidden = true;
    if (!chat.model) return;
    try {
      const { capabilities = [] } = await api.json("/api/show", { method: "POST", body: { model: chat.model } });
      picture.hidden = !capabilities.includes("vision");
    } catch {
      // sending will say what is wrong with the model
    }
  }

  async function attach() {
    try {
      for (const one of file.files) pictures.push(await readPicture(one));
      fill(trouble);
    } catch (error) {
      fill(trouble, notice("warning", error.message));
    }
    file.value = "";
    attachedWords();
  }

  function attachedWords() {
    attached.textContent = pictures.length ? `${pictures.length} attached` : "";
  }

  function keyed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    submit(event);
  }

  function drop() {
    running.get(chat.id)?.();
    remove(chat);
    open(chats[0] ?? begin(chat.model));
  }

  function download(kind, content) {
    const url = URL.createObjectURL(new Blob([content]));
    el("a", { href: url, download: `conversation.${kind}` }).click();
    URL.revokeObjectURL(url);
  }

  async function load() {
    try {
      const found = (await api.json("/api/tags")).models.map(({ name }) => name);
      fill(models, found.map((name) => el("option", { value: name }, name)));
      const wanted = words[0] ?? chat.model;
      if (words[0]) history.replaceState(null, "", "#/chat"); // a reload goes on with the conversation
      if (words[0] && chat.messages.length) open(begin(words[0]));
      chat.model = found.includes(wanted) ? wanted : (chat.model || found[0] || "");
      if (chat.model && !found.includes(chat.model)) models.append(el("option", { value: chat.model }, `${chat.model} (missing)`));
      if (!found.length) fill(trouble, notice("info", "There are no models yet. Pull one in the view Models."));
    } catch (error) {
      fill(trouble, problem(error, () => askForKey(error.message)));
    }
    chosen();
  }

  open(chat);
  load();
  return () => {
    here = false;
  };
}
