"""Compares one value with the recorded one, by the meaning of its key."""

from __future__ import annotations

import base64
import json
import math
import re
import struct
from typing import Any

from tests.contract.difference import Diff, kind_of, parse_time, short
from tests.contract.keys import (
    ANSWER_COUNTS,
    DETAIL_KEYS,
    EXTRA_CLASS,
    FIXED_KEYS,
    ID_KEYS,
    INFO_MUST,
    INFO_READ,
    MISSING_CLASS,
    OPAQUE_KEYS,
    PROMPT_COUNTS,
    RFC3339,
    SIZE_KEYS,
    TEXT_KEYS,
    THOUGHT_KEYS,
)
from tests.contract.naming import Names, Sides
from tests.contract.streams import load_arguments, ndjson_kinds
from tests.contract.wire import fill

_NUMBER = re.compile(r"\d+")
_GO_DECODER = re.compile(
    r"json: |cannot unmarshal|Go (struct field|value)|invalid character|unexpected (EOF|end of JSON)"
    r"|looking for beginning of|EOF$|strconv\.|time: "
)
"""What Go's JSON decoder says of a body. No client reads it, so ours are words of our own, with the field's path."""


class ValueComparison:
    """Values, texts, counts, times, lists of models, vectors."""

    def __init__(self, sides: Sides, rules: dict[str, Any], where: str, golden: dict[str, Any], actual: dict[str, Any]):
        self.sides, self.rules, self.where, self.g, self.a = sides, rules, where, golden, actual
        self.text_rule = rules.get("text", "same")
        self.diffs: list[Diff] = []

    def add(self, cls: str, path: str, what: str) -> None:
        worst = self.rules.get("worst", "A")
        d = Diff(max(cls, worst), f"{self.where} {path}".strip(), what)
        if d not in self.diffs:
            self.diffs.append(d)

    def differ(self, cls: str, path: str, g: Any, a: Any, note: str = "") -> None:
        if isinstance(g, str) and isinstance(a, str) and len(g) + len(a) > 160:  # show where they part
            at = next((i for i, (x, y) in enumerate(zip(g, a, strict=False)) if x != y), min(len(g), len(a)))
            at = max(0, at - 30)
            g, a = ("…" if at else "") + g[at:], ("…" if at else "") + a[at:]
        self.add(cls, path, f"{note + ': ' if note else ''}{short(g)} became {short(a)}")

    # -- the whole answer

    def escapes(self, g: str, a: str) -> None:
        if re.search(r"\\u00(3c|3e|26)", g) and re.search(r"[<>&]", a):
            self.add("C", "body", "<, > or & not escaped")

    # -- JSON values

    def value(self, path: str, key: str, g: Any, a: Any, shape: bool = False) -> None:
        """Compare two JSON values. `shape`: inside a chunk of a stream, where texts and counts are judged in sum."""
        if self.special(path, key, g, a, shape):
            return
        if kind_of(g) != kind_of(a):
            self.differ("A", path, kind_of(g), f"{kind_of(a)} {short(a, 60)}", "type")
        elif isinstance(g, dict):
            self.objects(path, key, g, a, shape)
        elif isinstance(g, list):
            self.lists(path, key, g, a, shape)
        elif isinstance(g, str):
            if (not shape or key in FIXED_KEYS) and not self.sides.same(g, a):
                self.differ("B", path, g, a)
        elif g != a and (not shape or key in FIXED_KEYS):
            self.differ("B", path, g, a)

    def special(self, path: str, key: str, g: Any, a: Any, shape: bool) -> bool:
        """Fields with a rule of their own; False when the ordinary comparison is to be made."""
        types = (type(g), type(a))
        if (key == "error" and types == (str, str)) or (
            key == "message" and path.endswith("error.message") and types == (str, str)
        ):
            self.error_text(path, g, a)
        elif key in TEXT_KEYS and types == (str, str):
            if not shape:
                self.text(path, g, a, thought=key in THOUGHT_KEYS)
        elif (
            key in ("done_reason", "finish_reason", "stop_reason") and self.text_rule != "same" and types == (str, str)
        ):
            pass
        elif key == "arguments" and types == (str, str):
            if not shape:
                self.arguments(path, g, a)
        elif key in ("arguments", "input") and types == (dict, dict):
            if not shape and self.text_rule == "same":
                return False
        elif key == "created_at" and types == (str, str):
            self.clock(path, a)
        elif key == "modified_at" and types == (str, str):
            if parse_time(a) is None:
                self.differ("A", path, g, a, "not RFC 3339")
        elif key == "expires_at" and types == (str, str):
            self.expiry(path, g, a)
        elif key.endswith("_duration") and isinstance(g, int):
            if type(a) is not int or a <= 0:
                self.differ("A" if type(a) is not int else "B", path, g, a, "not a positive number of ns")
        elif key in ("created", "created_at", "completed_at") and isinstance(g, int):
            if type(a) is not int or not 10**9 < a < 10**10:
                self.differ("A", path, g, a, "not Unix seconds")
        elif key in ID_KEYS and types == (str, str):
            head = re.match(r"[a-z]+[-_]|", g)
            if not a:
                self.differ("A", path, g, a, "empty id")
            elif head and not a.startswith(head[0]):
                self.differ("C" if "tool_calls" in path or key == "call_id" else "B", path, g, a, "prefix of the id")
        elif key == "digest" and types == (str, str):
            pattern = (
                r"sha256:[0-9a-f]{64}"
                if g.startswith("sha256:")
                else r"[0-9a-f]{64}"
                if re.fullmatch(r"[0-9a-f]{64}", g)
                else re.escape(g)
            )
            if not re.fullmatch(pattern, a):
                self.differ("A", path, g, a, "form of the digest")
        elif key == "status" and types == (str, str) and path == "$.status":
            if ndjson_kinds({"status": g}) != ndjson_kinds({"status": a}):
                self.differ("B", path, g, a)
        elif key in SIZE_KEYS and type(g) is int:
            if type(a) is not int or (g > 0) != (a > 0):
                self.differ("A" if type(a) is not int else "B", path, g, a)
        elif key in ("context_length", "embedding_length") and type(g) is int:
            if type(a) is not int or a <= 0:
                self.differ("A", path, g, a)
            elif a != g:
                self.differ("C", path, g, a)
        elif key in DETAIL_KEYS and "details" in path and types == (str, str):
            if bool(g) != bool(a) or (key == "parameter_size" and not re.fullmatch(r"[\d.]+[BMK]?", a)):
                self.differ("B", path, g, a)
            elif key == "parameter_size" and g != a:
                self.differ("C", path, g, a)
        elif key == "version" and types == (str, str):
            if not re.fullmatch(r"\d+\.\d+\.\d+.*", a):
                self.differ("B", path, g, a, "not a version")
        elif key == "system_fingerprint" and types == (str, str):
            if not a.startswith("fp_"):
                self.differ("B", path, g, a)
        elif key in PROMPT_COUNTS | ANSWER_COUNTS and type(g) is int:
            self.count(path, key, g, a, shape)
        elif key == "sequence_number" and shape:
            if type(a) is not int:
                self.differ("A", path, g, a)
        elif key in OPAQUE_KEYS:
            if kind_of(g) != kind_of(a):
                self.differ("A", path, kind_of(g), kind_of(a), "type")
        elif key == "model_info" and types == (dict, dict):
            self.model_info(path, g, a)
        elif key == "modelfile" and types == (str, str):
            self.modelfile(path, g, a)
        elif key == "parameters" and types == (str, str):
            gs, as_ = ({" ".join(line.split()) for line in s.split("\n") if line.strip()} for s in (g, a))
            if gs != as_:
                self.add("B", path, f"lines gone: {sorted(gs - as_)}, new: {sorted(as_ - gs)}")
        elif key == "capabilities" and types == (list, list):
            if set(g) != set(a):  # in its lists Ollama calls an embedding model fit for completion
                self.differ("C" if path.startswith("$.models") else "B", path, sorted(g), sorted(a))
        elif (
            key in ("models", "data")
            and types == (list, list)
            and all(isinstance(m, dict) and ("name" in m or m.get("object") == "model") for m in g + a)
            and path in ("$.models", "$.data")
            and (g or a)
        ):
            self.model_list(path, g, a)
        elif key == "logprob" and kind_of(g) == kind_of(a) == "number":
            if a > 1e-6:
                self.differ("B", path, g, a, "a logarithm of a probability is not above 0")
            elif not shape and self.text_rule == "same" and abs(g - a) > 0.1 and g > -20:
                self.differ("C", path, g, a)
        elif key == "bytes" and types == (list, list):
            pass  # judged with its token
        elif key == "top_logprobs" and types == (list, list):
            if len(g) != len(a):
                self.differ("B", path, len(g), len(a), "number of alternatives")
            values = [t.get("logprob", 0) for t in a if isinstance(t, dict)]
            if values != sorted(values, reverse=True):
                self.add("B", path, "alternatives not sorted, most likely first")
            if g and a:
                self.value(path + "[0]", "", g[0], a[0], True)
        elif key == "context" and types == (list, list):
            if not a or not all(type(t) is int for t in a):
                self.differ("A", path, g, a, "not a list of token ids")
        elif key in ("embedding", "embeddings"):
            return self.vectors(path, key, g, a)
        else:
            return False
        return True

    def error_text(self, path: str, g: str, a: str) -> None:
        rule = self.rules.get("errors", "B")
        if self.rules.get("numbers") == "any":
            g, a = _NUMBER.sub("0", g), _NUMBER.sub("0", a)
        if rule == "shape":
            if not a:
                self.add("B", path, "empty error text")
        elif not self.sides.same(g, a):
            self.differ("C" if a and _GO_DECODER.search(g) else rule, path, g, a)

    def text(self, path: str, g: str, a: str, thought: bool = False) -> None:
        """Generated text by the case's rule."""
        rule = self.text_rule
        if rule in ("json", "keys") and not thought and (g or a):
            try:
                x = json.loads(g)
            except ValueError:
                x, rule = None, "same"
            if rule != "same":
                try:
                    y = json.loads(a)
                except ValueError:
                    self.differ("B", path, g, a, "text is not JSON")
                    return
                if (rule == "json" and x != y) or (
                    rule == "keys" and (kind_of(x) != kind_of(y) or (isinstance(x, dict) and set(x) != set(y)))
                ):
                    self.differ("B", path, g, a, "JSON in the text")
                return
        if rule == "none":
            return
        if rule == "loose":
            if g.strip() and not a.strip():
                self.differ("B", path, g, a, "text")
        elif not self.sides.same(g, a):
            self.differ("B", path, g, a, "text")

    def arguments(self, path: str, g: str, a: str) -> None:
        x, y = load_arguments(g), load_arguments(a)
        if not isinstance(y, dict):
            self.differ("A", path, g, a, "arguments are not the text of an object")
        elif self.text_rule == "same" and x != y:
            self.differ("B", path, g, a)

    def clock(self, path: str, a: str) -> None:
        t = parse_time(a)
        if t is None:
            self.add("A", path, f"not RFC 3339: {short(a)}")
        elif not a.endswith("Z"):
            self.add("B", path, f"not UTC with Z: {a}")
        else:
            fraction = (RFC3339.match(a) or [""] * 3)[2]
            if fraction and fraction.endswith("0"):
                self.add("C", path, f"zeros at the end of {a}")
            if abs(t - self.a["at"]) > 900:
                self.add("B", path, f"not now: {a}")

    def expiry(self, path: str, g: str, a: str) -> None:
        """How far in the future, not when."""
        x, y = parse_time(g), parse_time(a)
        if x is None or y is None:
            if y is None:
                self.differ("A", path, g, a, "not RFC 3339")
            return
        left, now = x - self.g["at"], y - self.a["at"]
        forever = 20 * 365 * 86400
        if (left > forever) != (now > forever) or (left <= forever and abs(left - now) > max(30, 0.15 * abs(left))):
            self.add("B", path, f"{left:.0f} s from now became {now:.0f} s from now")

    def count(self, path: str, key: str, g: int, a: Any, shape: bool) -> None:
        if type(a) is not int or a < 0:
            self.differ("A", path, g, a, "not a count")
        elif shape or self.rules.get("counts") == "none" or (key in ANSWER_COUNTS and self.text_rule != "same"):
            if g > 0 and a == 0 and not shape:
                self.differ("B", path, g, a)
        elif g != a:
            self.differ("C" if abs(g - a) <= 2 or "message_start" in path else "B", path, g, a)

    def model_info(self, path: str, g: dict[str, Any], a: dict[str, Any]) -> None:
        for k in g:
            if k in a:
                if kind_of(g[k]) != kind_of(a[k]):
                    self.differ(
                        "A" if k in INFO_MUST or k.endswith("_length") else "B",
                        f"{path}[{k}]",
                        kind_of(g[k]),
                        kind_of(a[k]),
                        "type",
                    )
                elif isinstance(g[k], str) and k == "general.architecture" and g[k] != a[k]:
                    self.differ("B", f"{path}[{k}]", g[k], a[k])
            elif k in INFO_MUST or k.endswith((".context_length", ".embedding_length")):
                self.add("A", path, f"{k} is missing")
            elif k.endswith(INFO_READ):
                self.add("B", path, f"{k} is missing")
            else:
                self.add("C", path, f"{k} is missing")
        lengths = [[k for k in m if k.endswith(".context_length")] for m in (g, a)]
        if len(lengths[0]) == 1 and len(lengths[1]) > 1:
            self.add("A", path, f"more than one context length: {lengths[1]}")
        if list(g) == sorted(g) and list(a) != sorted(a):
            self.add("C", path, "keys not sorted")

    def modelfile(self, path: str, g: str, a: str) -> None:
        x, y = g.split("\n"), a.split("\n")
        for n in range(min(4, len(x))):
            if not self.sides.same(x[n], y[n] if n < len(y) else ""):
                self.differ("B" if n == 0 else "C", f"{path} line {n + 1}", x[n], y[n] if n < len(y) else "")
        for word in ("FROM", "PARAMETER", "SYSTEM", "MESSAGE", "LICENSE"):
            counts = [sum(line.startswith(word + " ") for line in lines) for lines in (x, y)]
            if counts[0] and not counts[1]:
                self.add("C", path, f"no {word} line")

    def model_list(self, path: str, g: list[Any], a: list[Any]) -> None:
        """Lists of models by name; other models of the two servers do not matter."""
        only = self.rules.get("only")

        def by_name(entries: list[Any], names: Names, table: dict[str, str]) -> dict[str, Any]:
            wanted = (
                {fill(o, table).lower() for o in only} if only else {table[r + "_FULL"].lower() for r in names.models}
            )
            out = {}
            for m in entries:
                name = str(m.get("name") or m.get("id"))
                last = name.rpartition("/")[2].partition(":")[0].lower()
                if name.lower() in wanted or (
                    not only and last.startswith("golden-") and last in self.rules.get("made", [])
                ):
                    out[names.common(name)] = m
            return out

        x, y = (
            by_name(g, self.sides.golden, self.sides.golden_table),
            by_name(a, self.sides.actual, self.sides.actual_table),
        )
        for name in x:
            if name in y:
                self.objects(
                    f"{path}[{name}]",
                    "",
                    {k: v for k, v in x[name].items() if k != "id"},
                    {k: v for k, v in y[name].items() if k != "id"},
                    False,
                )
            else:
                self.add("A", path, f"{name} is not listed")
        for name in set(y) - set(x):
            self.add("B", path, f"{name} is listed")
        if [n for n in x if n in y] != [n for n in y if n in x]:
            self.add("C", path, f"order {list(x)} became {list(y)}")
        times = [parse_time(m.get("modified_at")) for m in a]  # Ollama sorts by whole seconds
        whole = [int(t) for t in times if t is not None]
        if len(whole) == len(times) > 1 and whole != sorted(whole, reverse=True):
            self.add("B", path, "not sorted by modified_at, newest first")

    def vectors(self, path: str, key: str, g: Any, a: Any) -> bool:
        def unpack(v: Any) -> Any:
            if isinstance(v, str):
                try:
                    raw = base64.b64decode(v, validate=True)
                    return list(struct.unpack(f"<{len(raw) // 4}f", raw))
                except (ValueError, struct.error):
                    return v
            return v

        if kind_of(g) != kind_of(a):
            return False
        if key == "embeddings" and isinstance(g, list):
            if len(g) != len(a):
                self.differ("A", path, len(g), len(a), "number of vectors")
            pairs = list(zip(g, a, strict=False))
        else:
            pairs = [(unpack(g), unpack(a))]
        for i, (x, y) in enumerate(pairs):
            at = f"{path}[{i}]"
            if not isinstance(y, list) or not all(isinstance(v, int | float) for v in y):
                self.differ("A", at, "a vector", y)
                continue
            if len(x) != len(y):
                self.differ("A", at, len(x), len(y), "length of the vector")
                continue
            nx, ny = (math.sqrt(sum(v * v for v in w)) for w in (x, y))
            if abs(nx - 1) < 1e-3 and abs(ny - 1) > 1e-3:
                self.differ("A", at, round(nx, 4), round(ny, 4), "norm")
            if self.rules.get("numbers") == "any":
                continue
            if nx and ny and (cos := sum(p * q for p, q in zip(x, y, strict=True)) / (nx * ny)) < 0.99:
                self.add("B", at, f"another direction: cosine {cos:.4f}")
        return True

    def objects(self, path: str, key: str, g: dict[str, Any], a: dict[str, Any], shape: bool) -> None:
        loose = self.text_rule != "same"
        for k in g:
            if k not in a:
                cls = MISSING_CLASS.get(k, "A")
                if (k == "id" and "tool_calls" in path and "index" not in g) or (k == "usage" and shape):
                    cls = "B"
                if loose and k in ("tool_calls", "thinking", "reasoning"):
                    cls = "C" if k == "tool_calls" else "B"
                self.add(cls, path, f"key {k} is missing (was {short(g[k], 60)})")
        for k in a:
            if k not in g:
                cls = EXTRA_CLASS.get(k, "C" if self.rules.get("richer") else "B")
                if loose and k == "tool_calls":
                    cls = "C"
                self.add(cls, path, f"additional key {k}: {short(a[k], 60)}")
        if [k for k in g if k in a] != [k for k in a if k in g]:
            self.add("C", path, f"key order {', '.join(a)}; was {', '.join(g)}")
        model = g.get("object") == "model"
        for k in g:
            if k in a:
                if model and k == "id":
                    if not self.sides.same(str(g[k]), str(a[k])):
                        self.differ("B", f"{path}.id", g[k], a[k])
                else:
                    self.value(f"{path}.{k}", k, g[k], a[k], shape)
        if (
            isinstance(a.get("token"), str)
            and isinstance(a.get("bytes"), list)
            and list(a["token"].encode("utf-8", "replace")) != a["bytes"]
            and "\ufffd" not in a["token"]
        ):
            self.add("B", path, f"bytes {a['bytes']} are not those of token {a['token']!r}")

    def lists(self, path: str, key: str, g: list[Any], a: list[Any], shape: bool) -> None:
        if shape or key == "logprobs" or path.endswith("logprobs.content"):
            if not shape and self.text_rule == "same" and len(g) != len(a):
                self.differ("C" if abs(len(g) - len(a)) <= 2 else "B", path, len(g), len(a), "number of entries")
            if g and a:
                self.value(path + "[0]", "", g[0], a[0], True)
            elif bool(g) != bool(a) and key != "logprobs":
                self.differ("B", path, g, a)
            return
        if len(g) != len(a):
            cls = "C" if key == "tool_calls" and self.text_rule != "same" else "B"
            self.differ(cls, path, len(g), len(a), "length of the list")
        for i, (x, y) in enumerate(zip(g, a, strict=False)):
            self.value(f"{path}[{i}]", "", x, y, shape)

    # -- streams
