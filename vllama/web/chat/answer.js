// Asks the service for the next message of a conversation. It goes on while another view is shown.

import * as api from "../api.js";

/** Conversations that are being answered, by id. */
export const running = new Map();

/** Appends an answer to `chat`, piece by piece. `changed(done)` is called after each piece and at the end. */
export async function ask(chat, changed) {
  const answer = { role: "assistant", content: "" };
  const stop = new AbortController();
  const asked = { model: chat.model, messages: sent(chat), options: chat.options };
  chat.messages.push(answer);
  running.set(chat.id, () => stop.abort());
  const began = performance.now();
  let first;
  let done = false;
  try {
    for await (const piece of api.objects("/api/chat", { method: "POST", body: asked, signal: stop.signal })) {
      if (piece.error) throw new Error(piece.error);
      first ??= performance.now() - began;
      answer.content += piece.message?.content ?? "";
      if (piece.message?.thinking) answer.thinking = (answer.thinking ?? "") + piece.message.thinking;
      if (piece.done) {
        done = true;
        answer.numbers = numbers(piece, first / 1000);
      }
      changed(false);
    }
    if (!done) answer.error = "The answer is incomplete: the connection ended.";
  } catch (error) {
    if (error.name === "AbortError") answer.stopped = true;
    else answer.error = error.message;
    answer.needsKey = Boolean(error.needsKey);
  } finally {
    running.delete(chat.id);
    changed(true);
  }
}

function sent({ system, messages }) {
  const turns = messages
    .filter(({ content, images }) => content || images?.length)
    .map(({ role, content, images }) => (images?.length ? { role, content, images } : { role, content }));
  return system ? [{ role: "system", content: system }, ...turns] : turns;
}

/** What the answer took: tokens, seconds to the first piece as seen here, tokens per second as the service says. */
function numbers(last, ttft) {
  const speed = last.eval_duration ? (1e9 * last.eval_count) / last.eval_duration : undefined;
  return { prompt: last.prompt_eval_count, generated: last.eval_count, ttft, speed, reason: last.done_reason };
}
