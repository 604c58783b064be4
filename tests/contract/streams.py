"""Streams of all dialects: which parts a chunk carries, and what all chunks add up to."""

from __future__ import annotations

import json
import re
from typing import Any


def ndjson_kinds(e: Any) -> list[str]:
    """The parts one native stream object carries, e.g. ['text'] or ['tool', 'final']."""
    if not isinstance(e, dict) or "?unparsed" in e:
        return ["unparsed"]
    if "error" in e:
        return ["error"]
    if "status" in e:
        status = str(e["status"])
        if "layer" in status:
            return ["layer"]
        return [re.sub(r"\b[0-9a-f]{12,64}\b", "‹digest›", status)]
    m = e.get("message") if isinstance(e.get("message"), dict) else e
    out = [
        name
        for name, there in (
            ("thinking", m.get("thinking")),
            ("text", m.get("content") or m.get("response")),
            ("tool", m.get("tool_calls")),
            ("final", e.get("done") is True),
        )
        if there
    ]
    return out or ["blank"]


def sse_kinds(item: dict[str, Any]) -> list[str]:
    data = item["data"]
    if data == "[DONE]":
        return ["[DONE]"]
    if not isinstance(data, dict):
        return ["unparsed"]
    kind = data.get("type")
    if isinstance(kind, str):
        inner = (
            data.get("content_block")
            or data.get("item")
            or (data.get("delta") if isinstance(data.get("delta"), dict) else None)
            or {}
        )
        place = data.get("output_index", data.get("index"))  # which output item or content block
        return [
            kind
            + (f"({inner['type']})" if isinstance(inner, dict) and "type" in inner else "")
            + ("" if place is None else f"#{place}")
        ]
    if "error" in data:
        return ["error"]
    choices = data.get("choices")
    if choices == []:
        return ["usage"]
    choice = choices[0] if isinstance(choices, list) and isinstance(choices[0], dict) else {}
    if "text" in choice:
        return (["text"] if choice["text"] else []) + (["finish"] if choice.get("finish_reason") else []) or ["blank"]
    d = choice.get("delta") or {}
    out = [
        name
        for name, there in (
            ("thinking", d.get("reasoning")),
            ("text", d.get("content")),
            ("tool", d.get("tool_calls")),
            ("finish", choice.get("finish_reason")),
        )
        if there
    ]
    return out or ["blank"]


def load_arguments(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return text


def fold(record: dict[str, Any]) -> dict[str, Any]:
    """The whole text, thinking, tool calls and logprobs of an answer, streamed or not, in any dialect."""
    text, thought, calls, logprobs = "", "", [], []
    body = record.get("body") or {}
    blocks: dict[Any, dict[str, Any]] = {}

    def native(m: dict[str, Any]) -> None:
        nonlocal text, thought
        text += m.get("content") or m.get("response") or ""
        thought += m.get("thinking") or ""
        for c in m.get("tool_calls") or []:
            f = c.get("function") or {}
            calls.append({"name": f.get("name"), "arguments": f.get("arguments"), "index": f.get("index")})

    if body.get("kind") in ("ndjson", "json"):
        for e in body["events"] if body["kind"] == "ndjson" else [body["json"]]:
            if not isinstance(e, dict):
                continue
            logprobs += e.get("logprobs") if isinstance(e.get("logprobs"), list) else []
            if isinstance(e.get("message"), dict):
                native(e["message"])
            elif "response" in e and isinstance(e["response"], str):
                native(e)
            elif isinstance(e.get("choices"), list) and e["choices"] and isinstance(e["choices"][0], dict):
                m = e["choices"][0].get("message") or {}
                text += e["choices"][0].get("text") or m.get("content") or ""
                thought += m.get("reasoning") or ""
                calls += [
                    {
                        "name": c["function"].get("name"),
                        "arguments": load_arguments(c["function"].get("arguments")),
                        "index": c.get("index"),
                    }
                    for c in m.get("tool_calls") or []
                ]
            for block in e["content"] if isinstance(e.get("content"), list) else []:
                text += block.get("text") or ""
                thought += block.get("thinking") or ""
                if block.get("type") == "tool_use":
                    calls.append({"name": block.get("name"), "arguments": block.get("input")})
            for item in e["output"] if isinstance(e.get("output"), list) else []:
                text += "".join(c.get("text", "") for c in item.get("content") or [])
                thought += "".join(s.get("text", "") for s in item.get("summary") or [])
                if item.get("type") == "function_call":
                    calls.append({"name": item.get("name"), "arguments": load_arguments(item.get("arguments"))})
    elif body.get("kind") == "sse":
        for item in body["events"]:
            d = item["data"]
            if not isinstance(d, dict):
                continue
            kind = d.get("type")
            if isinstance(d.get("choices"), list) and d["choices"]:
                c = d["choices"][0]
                delta = c.get("delta") or {}
                text += c.get("text") or delta.get("content") or ""
                thought += delta.get("reasoning") or ""
                logprobs += (c.get("logprobs") or {}).get("content") or []
                for t in delta.get("tool_calls") or []:
                    b = blocks.setdefault(t.get("index"), {"name": "", "arguments": "", "index": t.get("index")})
                    b["name"] += (t.get("function") or {}).get("name") or ""
                    b["arguments"] += (t.get("function") or {}).get("arguments") or ""
            elif kind == "response.output_text.delta":
                text += d.get("delta", "")
            elif kind == "response.reasoning_summary_text.delta":
                thought += d.get("delta", "")
            elif kind == "response.output_item.done" and (d.get("item") or {}).get("type") == "function_call":
                calls.append({"name": d["item"].get("name"), "arguments": load_arguments(d["item"].get("arguments"))})
            elif kind == "content_block_start" and (d.get("content_block") or {}).get("type") == "tool_use":
                blocks[d.get("index")] = {"name": d["content_block"].get("name"), "arguments": ""}
            elif kind == "content_block_delta":
                delta = d.get("delta") or {}
                text += delta.get("text", "")
                thought += delta.get("thinking", "")
                if d.get("index") in blocks:
                    blocks[d["index"]]["arguments"] += delta.get("partial_json", "")
        calls += [
            b | {"arguments": load_arguments(b["arguments"])}
            for _, b in sorted(blocks.items(), key=lambda b: str(b[0]))
        ]
    return {"text": text, "thinking": thought, "calls": calls, "logprobs": logprobs}
