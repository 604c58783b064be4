"""Compares one answer with the recorded one: status, headers, framing, body, stream."""

from __future__ import annotations

import itertools
import json
import re
from typing import Any

from tests.contract.difference import Diff, collapse, kind_of, parse_time, short
from tests.contract.keys import CORS, FIXED_KEYS
from tests.contract.naming import Sides
from tests.contract.streams import fold, ndjson_kinds, sse_kinds
from tests.contract.values import ValueComparison
from tests.contract.wire import dig, fill, view


class Comparison(ValueComparison):
    """One record against one record."""

    def run(self) -> list[Diff]:
        g, a = self.g, self.a
        if "failed" in g:
            if "failed" not in a:
                self.add("C", "", f"recorded without an answer ({g['failed']}), now status {a['status']}")
            return self.diffs
        if "failed" in a:
            self.add("A", "", f"{a['failed']} (recorded: status {g['status']})")
            return self.diffs
        expected = (self.rules.get("expect") or {}).get(str(a["status"]))
        if expected is not None and dig(a, ["body", "json", "error"]) != expected:
            self.differ("B", "error", expected, dig(a, ["body", "json", "error"]))
        if g["status"] != a["status"]:
            if a["status"] in (self.rules.get("status") or []):
                if a["status"] >= 400:
                    self.error_shape(a)
                return self.diffs
            said = dig(a, ["body", "json", "error"]) if a["status"] >= 400 else None
            self.add("A", "status", f"{g['status']} became {a['status']}" + (f" ({short(said)})" if said else ""))
            return self.diffs
        self.headers()
        if g.get("cut"):
            if not a.get("cut"):
                self.add("C", "", "the answer had ended before we hung up")
        elif g["complete"] and not a["complete"]:
            self.add("A", "body", "the answer was cut off (framing not finished)")
        if "polled" in g and g["polled"]["met"] != a.get("polled", {}).get("met"):
            self.add(
                "B",
                "poll",
                f"awaited state {'reached' if g['polled']['met'] else 'not reached'} became {'reached' if a['polled']['met'] else 'not reached'}",
            )
        self.body()
        return self.diffs

    def error_shape(self, record: dict[str, Any]) -> None:
        value = dig(record, ["body", "json", "error"])
        if (
            not (isinstance(value, str) or (isinstance(value, dict) and isinstance(value.get("message"), str)))
            and record["body"]["kind"] != "empty"
        ):
            self.add(
                "A", "error", f"not an error object: {short(record['body'].get('json') or record['body'].get('text'))}"
            )

    def headers(self) -> None:
        g, a, empty = self.g["headers"], self.a["headers"], self.g["body"]["kind"] == "empty"
        x, y = g.get("content-type"), a.get("content-type")
        if x != y:
            same_media = x and y and x.split(";")[0].strip().lower() == y.split(";")[0].strip().lower()
            self.differ("C" if same_media or empty else "A", "content-type", x, y)
        for name in sorted((set(g) | set(a)) - {"content-type"}):
            x, y = g.get(name), a.get(name)
            if name == "content-encoding" and x != y:
                self.differ("A", name, x, y)
            elif name in ("allow", "vary") or name in (CORS + "allow-methods", CORS + "allow-headers"):
                xs, ys = ({v.strip().lower() for v in (h or "").split(",") if v.strip()} for h in (x, y))
                if name.endswith("allow-headers") and y is not None and xs <= ys:
                    continue
                if xs != ys:
                    self.differ("B", name, x, y)
                elif name == "allow" and x != y:
                    self.differ("C", name, x, y, "order")
            elif name == "location" or name.startswith(CORS):
                if not (isinstance(x, str) and isinstance(y, str) and self.sides.same(x, y)):
                    self.differ("B", name, x, y)
            elif (name == "cache-control" and x != y) or (
                name == "content-length" and self.g["framing"] == "none" and (x is None) != (y is None)
            ):
                self.differ("C", name, x, y)

    def body(self) -> None:
        g, a = self.g["body"], self.a["body"]
        if g["kind"] != a["kind"]:
            cut = self.g.get("cut") and "empty" in (g["kind"], a["kind"])
            self.add(
                "C" if cut else "B" if "empty" in (g["kind"], a["kind"]) else "A",
                "body",
                f"{g['kind']} became {a['kind']}: {short(a.get('json') or a.get('text') or a.get('lines') or '')}",
            )
        elif g["kind"] == "text":
            if not self.sides.same(g["text"], a["text"]):
                stripped = self.sides.same(g["text"].strip(), a["text"].strip())
                cls = "C" if stripped else {"C": "C", "shape": ""}.get(self.rules.get("errors", "B"), "B")
                if cls:
                    self.differ(cls, "body", g["text"], a["text"])
        elif g["kind"] == "json":
            self.value("$", "", g["json"], a["json"])
            if g["raw"].endswith("\n") != a["raw"].endswith("\n"):
                self.add("C", "body", "line break at the end")
            self.escapes(g["raw"], a["raw"])
        elif g["kind"] == "ndjson":
            self.ndjson(g, a)
        elif g["kind"] == "sse":
            self.sse(g, a)
        elif g["kind"] == "bytes" and g["b64"] != a["b64"]:
            self.add("B", "body", "other bytes")

    def sequences(self, g: list[list[str]], a: list[list[str]], ends: tuple[str, ...]) -> None:
        """Compare the runs of chunk kinds; which chunk a tool call shares does not matter, blank chunks neither."""
        x, y = (collapse([k for kinds in side for k in kinds if k != "blank"]) for side in (g, a))
        if self.g.get("cut"):
            n = min(len(x), len(y))
            if x[:n] != y[:n] or not y:
                self.add("A", "stream", f"begins {' '.join(y) or 'with nothing'}; was {' '.join(x)}")
            return
        if self.text_rule != "same":
            soft = {"text", "thinking", "tool"}
            if ("thinking" in x) != ("thinking" in y):
                self.add("B", "stream", f"thinking {'missing' if 'thinking' in x else 'not expected'}")
            x, y = [k for k in x if k not in soft], [k for k in y if k not in soft]
        if x != y:
            broken = (
                not y
                or (bool(set(x) & set(ends)) and (y[-1] != x[-1] or any(y.count(e) != x.count(e) for e in ends)))
                or ("error" in x) != ("error" in y)
            )
            prose = all(" " in k or k in ("success", "layer", "error") for k in x)  # progress lines
            self.add(
                "A" if broken or not prose else "B", "stream", f"{' > '.join(y) or 'nothing'}; was {' > '.join(x)}"
            )
        shared = [sum(len(kinds) > 1 for kinds in side) for side in (g, a)]
        if bool(shared[0]) != bool(shared[1]):
            self.add("C", "stream", "parts share a chunk: " + ("no longer" if shared[0] else "new"))
        counts = [sum("text" in kinds or "thinking" in kinds for kinds in side) for side in (g, a)]
        if counts[0] >= 4 and counts[1] == 1:
            self.add("B", "stream", f"{counts[0]} chunks of text became one: nothing is streamed")
        elif min(counts) and max(counts) / min(counts) > 2:
            self.add("C", "stream", f"{counts[0]} chunks of text became {counts[1]}")

    def sums(self) -> None:
        """Compare what the chunks add up to."""
        if self.g.get("cut"):
            return
        x, y = fold(self.g), fold(self.a)
        self.text("text in sum", x["text"], y["text"])
        self.text("thinking in sum", x["thinking"], y["thinking"], thought=True)
        if self.text_rule == "same":
            if x["calls"] != y["calls"]:
                self.differ("B", "tool calls in sum", x["calls"], y["calls"])
            if abs(len(x["logprobs"]) - len(y["logprobs"])) > 0:
                self.differ(
                    "C" if abs(len(x["logprobs"]) - len(y["logprobs"])) <= 2 and y["logprobs"] else "B",
                    "logprobs in sum",
                    len(x["logprobs"]),
                    len(y["logprobs"]),
                    "entries",
                )
            elif [e.get("token") for e in x["logprobs"]] != [e.get("token") for e in y["logprobs"]]:
                self.differ(
                    "C",
                    "logprobs in sum",
                    [e.get("token") for e in x["logprobs"]],
                    [e.get("token") for e in y["logprobs"]],
                    "tokens",
                )
        if "\ufffd" in y["text"] + y["thinking"] and "\ufffd" not in x["text"] + x["thinking"]:
            self.add("A", "text in sum", "holds U+FFFD: a character was cut in two")

    def chunks(self, golden: list[tuple[str, Any]], actual: list[tuple[str, Any]], whole: tuple[str, ...]) -> None:
        """Compare each chunk with a recorded chunk of its kind: keys, types, fixed values. Kinds in `whole` are
        compared value by value."""
        by_kind: dict[str, list[Any]] = {}
        for kind, e in golden:
            by_kind.setdefault(kind, []).append(e)
        seen: dict[str, int] = {}
        for kind, e in actual:
            last, options = kind.split("+")[-1], by_kind.get(kind)
            if options is None and last in whole:  # the same end, but with other parts in the same chunk
                options = [self.prune(o) for k, v in by_kind.items() if k.split("+")[-1] == last for o in v]
                e = self.prune(e)
            if not options:
                continue
            n = seen[kind] = seen.get(kind, -1) + 1
            if last in whole or last.split("#")[0] in whole:
                self.value(f"$({kind})", "", options[min(n, len(options) - 1)], e, shape=False)
            else:
                mark = self.mark(e)
                other = next((o for o in options if self.mark(o) == mark), None) or next(
                    (o for o in options if self.keys(o) == self.keys(e)), options[0]
                )
                self.value(f"$({kind})", "", other, e, shape=True)

    @staticmethod
    def prune(e: Any) -> Any:
        """An object without the parts that any chunk may carry."""
        if not isinstance(e, dict):
            return e
        return {
            k: Comparison.prune(v) if k == "message" else v
            for k, v in e.items()
            if k not in ("thinking", "tool_calls", "logprobs")
        }

    @staticmethod
    def mark(e: Any) -> Any:
        """The keys at all levels and the values that are compared in every chunk."""
        if isinstance(e, dict):
            return [
                (k, Comparison.mark(v) if isinstance(v, dict | list) else v if k in FIXED_KEYS else kind_of(v))
                for k, v in sorted(e.items())
            ]
        return Comparison.mark(e[0]) if isinstance(e, list) and e else None

    @staticmethod
    def keys(e: Any) -> Any:
        """Key sets of an object and of the objects directly in it."""
        if isinstance(e, dict):
            return {k: Comparison.keys(v) if k in ("message", "delta", "choices") else None for k, v in e.items()}
        if isinstance(e, list) and e:
            return Comparison.keys(e[0])
        return None

    def framing(self, g: dict[str, Any], a: dict[str, Any]) -> None:
        if g["ended"] and not a["ended"] and not self.a.get("cut"):
            self.add("A", "stream", "the last line is not ended")
        if self.g["framing"] == "chunked" and self.a["framing"] != "chunked":
            self.add("B", "stream", f"sent with framing '{self.a['framing']}', not chunked")

    def ndjson(self, g: dict[str, Any], a: dict[str, Any]) -> None:
        self.framing(g, a)
        for n, line in enumerate(a["lines"]):
            if not line.strip():
                self.add("A", f"line {n + 1}", "blank line in NDJSON")
            elif "?unparsed" in (a["events"][n] if isinstance(a["events"][n], dict) else {}):
                self.add("A", f"line {n + 1}", f"not JSON: {short(line)}")
            if "\u2028" in line or "\u2029" in line:
                self.add("A", f"line {n + 1}", "raw U+2028 or U+2029: clients that split lines by Unicode rules break")
            if line.endswith("\r"):
                self.add("C", f"line {n + 1}", "ends in CR LF")
        self.escapes("".join(g["lines"]), "".join(a["lines"]))
        gk, ak = [ndjson_kinds(e) for e in g["events"]], [ndjson_kinds(e) for e in a["events"]]
        self.sequences(gk, ak, ("final", "success", "error"))
        joined = [
            [("+".join(k), e) for k, e in zip(kinds, side["events"], strict=True)] for kinds, side in ((gk, g), (ak, a))
        ]
        joined = [
            [(k, {x: y for x, y in e.items() if x != "logprobs"} if "final" in k else e) for k, e in side]
            for side in joined
        ]
        # texts of finals are judged in sum
        keep, self.text_rule = self.text_rule, "none" if self.text_rule == "same" else self.text_rule
        fixed = self.text_rule == "none" and keep == "same"
        self.chunks(*joined, whole=("final", "error"))
        self.text_rule = keep
        if fixed:
            self.reasons(g["events"], a["events"])
        self.sums()
        times = [parse_time(e.get("created_at")) for e in a["events"] if isinstance(e, dict) and "created_at" in e]
        if any(x is not None and y is not None and y < x for x, y in itertools.pairwise(times)):
            self.add("B", "stream", "created_at goes backwards")

    def reasons(self, g: list[Any], a: list[Any]) -> None:
        """done_reason and token counts of the last object, exactly."""
        x, y = g[-1] if g else {}, a[-1] if a else {}
        if isinstance(x, dict) and isinstance(y, dict) and x.get("done") and y.get("done"):
            if x.get("done_reason") != y.get("done_reason"):
                self.differ("B", "$(final).done_reason", x.get("done_reason"), y.get("done_reason"))
            for k in ("eval_count",):
                if k in x and k in y and not self.g.get("cut"):
                    self.count(f"$(final).{k}", k, x[k], y[k], False)

    def sse(self, g: dict[str, Any], a: dict[str, Any]) -> None:
        self.framing(g, a)
        for n, e in enumerate(a["events"]):
            if e.get("other") and not any(o.get("other") for o in g["events"]):
                self.add("B", f"event {n + 1}", f"unexpected lines {short(e['other'])}")
            if e["data"] is None:
                self.add("B", f"event {n + 1}", f"no data: {short(e['raw'])}")
            if e["event"] is None and isinstance(e["data"], dict) and any(o["event"] for o in g["events"]):
                self.add("A", f"event {n + 1}", "no event: line")
            elif e["event"] is not None and not any(o["event"] for o in g["events"]):
                self.add("B", f"event {n + 1}", f"unexpected event: line {e['event']}")
            elif e["event"] is not None and isinstance(e["data"], dict) and e["event"] != e["data"].get("type"):
                self.add("A", f"event {n + 1}", f"event {e['event']} with type {e['data'].get('type')}")
        gk, ak = [sse_kinds(e) for e in g["events"]], [sse_kinds(e) for e in a["events"]]
        self.sequences(gk, ak, ("[DONE]", "finish", "usage", "message_stop", "response.completed", "error"))
        whole = (
            "usage",
            "finish",
            "response.completed",
            "message_delta",
            "response.failed",
            "error",
            "response.function_call_arguments.done",
        )
        self.chunks(
            *[
                [
                    ("+".join(k), e["data"])
                    for k, e in zip(kinds, side["events"], strict=True)
                    if isinstance(e["data"], dict)
                ]
                for kinds, side in ((gk, g), (ak, a))
            ],
            whole=whole,
        )
        self.sums()
        gd, ad = ([e["data"] for e in side["events"] if isinstance(e["data"], dict)] for side in (g, a))
        for k in ("id", "created"):
            if len({e.get(k) for e in gd}) == 1 and len({e.get(k) for e in ad}) > 1:
                self.add("C" if k == "created" else "B", "stream", f"{k} is not the same in all chunks")
        if [e.get("sequence_number") for e in gd] == list(range(len(gd))) and [
            e.get("sequence_number") for e in ad
        ] != list(range(len(ad))):
            self.add("A", "stream", "sequence_number does not count 0, 1, 2 …")
        roles = [
            [i for i, e in enumerate(side) if "role" in (((e.get("choices") or [{}])[0] or {}).get("delta") or {})]
            for side in (gd, ad)
        ]
        if roles[0] != roles[1] and not self.g.get("cut"):
            self.add("B", "stream", f"delta.role in chunks {roles[1][:6]}, was {roles[0][:6]}")


def compare_case(case: dict[str, Any], actual: list[Any], sides: Sides) -> list[Diff]:
    diffs: list[Diff] = []
    made = set(re.findall(r"golden-[\w-]+", json.dumps(case["steps"]).lower()))  # models this case makes
    base = case["rules"] | {"made": made}
    worst = base.get("worst", "A")
    for n, (step, g, a) in enumerate(zip(case["steps"], case["records"], actual, strict=True), 1):
        label = f"step {n}" if len(case["steps"]) > 1 else ""
        pairs = (
            [
                (f"{label}.{i + 1}" if label else f"request {i + 1}", s, x, y)
                for i, (s, x, y) in enumerate(zip(step["parallel"], g["parallel"], a["parallel"], strict=True))
            ]
            if "parallel" in step
            else [(label, step, g, a)]
        )
        for where, s, x, y in pairs:
            # OpenAI's and Anthropic's clients skip keys that they don't know: a richer answer is welcome there
            rules = base | (s.get("rules") or {}) | {"richer": s["path"].startswith("/v1/")}
            if not rules.get("ignore"):
                diffs += Comparison(sides, rules, where, x, y).run()
        if "parallel" in step and base.get("order") and g["order"] != a["order"]:
            diffs.append(Diff(max("B", worst), label, f"ended in order {a['order']}, was {g['order']}"))

    def reach(records: list[Any], ref: list[Any], table: dict[str, str]) -> Any:
        record = records[ref[0]]
        return dig(view(record) | fold(record), fill(ref[1:], table))

    for left, right in base.get("equal") or []:
        x, y = reach(case["records"], left, sides.golden_table), reach(case["records"], right, sides.golden_table)
        if x is None or y is None:
            continue
        p, q = reach(actual, left, sides.actual_table), reach(actual, right, sides.actual_table)
        if (x == y) != (p == q):
            diffs.append(
                Diff(
                    max("B" if x == y else "C", worst),
                    f"steps {left[0] + 1} and {right[0] + 1}",
                    f"{left[1:]}: {'equal' if x == y else 'different'} became {short(p, 50)} and {short(q, 50)}",
                )
            )
    return diffs
