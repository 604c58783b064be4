// The conversations of this browser, within bounds. Nothing of them is kept by the service.

const STORED = "vllama-chats";
const MOST = 100;
const MOST_CHARACTERS = 4_000_000; // browsers give a site about 5 million

/** All conversations, newest first: `{id, title, model, system, options, messages, changed}`. A message has `role`,
 *  `content`, and may have `thinking`, `images` (base64), `numbers`, `error`. */
export const chats = read();

/** A new conversation, first in the list; it is kept once it has a message. */
export function begin(model) {
  const made = { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, title: "", model, system: "", options: {}, messages: [] };
  chats.unshift(made);
  return made;
}

export function remove(chat) {
  const at = chats.indexOf(chat);
  if (at >= 0) chats.splice(at, 1);
  return save();
}

/** Keeps all of them; the oldest go where there is no room. Returns what the reader should know, or "". */
export function save() {
  const kept = chats.filter(({ messages }) => messages.length).slice(0, MOST);
  if (!kept.length) {
    localStorage.removeItem(STORED);
    return "";
  }
  for (let images = true; kept.length; ) {
    const text = JSON.stringify(kept, (key, value) => (key === "images" && !images ? undefined : value));
    try {
      if (text.length <= MOST_CHARACTERS) {
        localStorage.setItem(STORED, text);
        return images ? "" : "The browser has no room for these pictures: they are gone when the page is closed.";
      }
    } catch {
      // no room: with less of it there may be
    }
    if (images) images = false;
    else kept.pop();
  }
  return "The browser has no room for this conversation: it is gone when the page is closed. Export it to keep it.";
}

/** As Markdown, for a file. */
export function asMarkdown(chat) {
  const parts = [`# ${chat.title || "Conversation"}`, `Model: ${chat.model}`];
  if (chat.system) parts.push(`## System`, chat.system);
  for (const { role, content, thinking } of chat.messages) {
    parts.push(role === "user" ? "## You" : "## Model");
    if (thinking) parts.push(thinking.trim().replace(/^/gm, "> "));
    parts.push(content);
  }
  return `${parts.join("\n\n")}\n`;
}

/** As JSON, for a file: what `/api/chat` takes, with the numbers of each answer. */
export function asJson(chat) {
  const { title, model, system, options, messages } = chat;
  return `${JSON.stringify({ title, model, system, options, messages }, null, 2)}\n`;
}

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(STORED) ?? "[]");
    return found.filter((one) => Array.isArray(one?.messages) && typeof one.id === "string");
  } catch {
    return [];
  }
}
