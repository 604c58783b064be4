// One message of a conversation.

import { el, fill } from "../dom.js";
import { count, digits, seconds } from "../format.js";
import { problem } from "../components/notice.js";
import { rendered } from "./rendered.js";

/** `made.show(message, complete)`. `actions(message)`: buttons below it when it is complete. */
export function message(one, actions, onKey) {
  const mine = one.role === "user";
  const text = mine ? el("p", { class: "said" }) : rendered();
  const thoughts = el("div", { class: "said small" });
  const thinking = el("details", { hidden: true }, el("summary", {}, "Thinking"), thoughts);
  const below = el("div", { class: "below" });
  const made = el(
    "article",
    { class: `message ${mine ? "mine" : "theirs"}`, "aria-label": mine ? "You" : "Model" },
    thinking,
    mine && one.images?.map((data) => el("img", { src: `data:image/*;base64,${data}`, alt: "A picture that you sent" })),
    text,
    below,
  );
  made.show = (complete) => {
    if (mine) text.textContent = one.content;
    else text.show(one.content, complete);
    thinking.hidden = !one.thinking;
    thoughts.textContent = one.thinking ?? "";
    if (!complete) return fill(below, !one.content && el("p", { class: "faint" }, one.thinking ? "Thinking …" : "Waiting …"));
    return fill(
      below,
      one.error && problem({ message: one.error, needsKey: one.needsKey }, onKey),
      one.stopped && el("p", { class: "faint small" }, "Stopped."),
      el("div", { class: "row small" }, actions(one), el("span", { class: "faint end" }, words(one.numbers))),
    );
  };
  return made;
}

function words(numbers) {
  if (!numbers) return "";
  const { prompt, generated, ttft, speed, reason } = numbers;
  return [
    prompt !== undefined && `${count(prompt)} tokens in`,
    generated !== undefined && `${count(generated)} out`,
    ttft !== undefined && `first after ${seconds(ttft)}`,
    speed !== undefined && `${digits(speed)} tokens/s`,
    reason === "length" && "cut at the limit",
  ]
    .filter(Boolean)
    .join(" · ");
}
