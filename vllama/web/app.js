// The shell: which view is shown, the connection to the service, the key.

import * as api from "./api.js";
import { el, fill } from "./dom.js";
import { Live } from "./live.js";
import { askForKey } from "./components/key.js";
import { notice, problem } from "./components/notice.js";

const VIEWS = { now: "Now", models: "Models", chat: "Chat", requests: "Requests", usage: "Usage", health: "Health" };
const LINKS = { connecting: "Connecting", up: "Connected", lost: "No answer", refused: "Key needed", missing: "No status" };

const version = document.querySelector("meta[name=vllama-version]").content;
const main = document.getElementById("main");
const live = new Live();
let leave = () => {};
let turn = 0;
let missing = false; // the view's own files could not be had

/** What every view gets as its second argument. A view is a module that exports
 *  `show(root, context)`: it fills `root` and returns a function that ends what it began. */
const context = {
  api,
  live,
  /** Opens the dialog; true when the key has changed. The view is then shown again with it. */
  async askForKey(why = "Some of this needs a key.") {
    const changed = await askForKey(why);
    if (changed) {
      live.start();
      show();
    }
    return changed;
  },
  /** Words after the view's name in the address: `#/chat/a/b` gives ["a", "b"]. */
  words: [],
};

async function show() {
  const mine = ++turn;
  const [name, ...words] = location.hash.replace(/^#\/?/, "").split("/").map(decode);
  const known = Object.hasOwn(VIEWS, name) ? name : "now";
  leave();
  leave = () => {};
  for (const link of document.querySelectorAll("#views a")) {
    if (link.dataset.view === known) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${VIEWS[known]} · vLLama`;
  const root = el("div", { class: `view ${known}` });
  fill(main, root);
  missing = false;
  try {
    const view = await import(`./${known}.js`);
    if (mine === turn) leave = view.show(root, { ...context, words }) ?? (() => {});
  } catch (error) {
    missing = true;
    console.warn(error);
    fill(root, notice("error", "This view can't be loaded. Reload the page."));
  }
}

function decode(word) {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

function showLink() {
  const state = document.getElementById("state");
  state.className = `badge ${live.link}`;
  fill(state, LINKS[live.link]);
  if (live.link === "up" && missing) show();
  if (live.link === "refused" && !document.querySelector("dialog")) context.askForKey(live.problem.message);
  showNotices();
}

function showNotices() {
  const shown = [];
  if (live.version && live.version !== version) {
    const reload = el("button", { type: "button", onclick: () => location.reload() }, "Reload");
    shown.push(notice("warning", `This page is of vLLama ${version}; the service is now ${live.version}.`, reload));
  }
  if (live.link === "lost") shown.push(notice("error", "The service does not answer. Trying again every 2 seconds."));
  if (live.link === "refused") shown.push(problem(live.problem, () => context.askForKey(live.problem.message)));
  if (live.link === "missing") shown.push(notice("info", "This service does not offer its status."));
  for (const text of live.status?.notices ?? []) shown.push(notice("warning", text));
  const place = document.getElementById("notices");
  const words = shown.map((one) => one.textContent).join();
  if (words === place.dataset.words) return; // or screen readers say it again each second
  place.dataset.words = words;
  fill(place, shown);
}

fill(
  document.getElementById("views"),
  Object.entries(VIEWS).map(([name, title]) => el("a", { href: `#/${name}`, "data-view": name }, title)),
);
document.getElementById("key").addEventListener("click", () => context.askForKey());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});
window.addEventListener("hashchange", show);
live.on("link", showLink);
live.on("hello", showNotices);
live.on("status", showNotices);
live.start();
showLink();
show();
