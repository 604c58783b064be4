"""What two coding agents send in a session, turn by turn; every text holds a mark that is found again in the prompt.

The shapes are theirs, the words are ours.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

MARK: Final = re.compile(r"\bmk[a-z]{4}\b")
EPHEMERAL: Final = {"cache_control": {"type": "ephemeral"}}


def marks(value: Any) -> set[str]:
    """The marks of all texts in a request."""
    if isinstance(value, str):
        return set(MARK.findall(value))
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return set().union(*map(marks, inner))


def _schema(**properties: str) -> dict[str, Any]:
    members = {name: {"type": "string", "description": text} for name, text in properties.items()}
    return {"type": "object", "properties": members, "required": list(members), "additionalProperties": False}


# ------------------------------------------------------------------------------------------ over /v1/messages

CLAUDE_CODE: Final[dict[str, Any]] = {
    "max_tokens": 24,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.63.a1b; cc_entrypoint=cli; cch=0f1e2;"},
        {"type": "text", "text": "You are mkagen, an agent for the command line.", **EPHEMERAL},
        {"type": "text", "text": "# Rules\n - Answer briefly. mkrule\n# Environment\nmkenvi", **EPHEMERAL},
    ],
    "tools": [
        {"name": "Bash", "description": "Runs mkbash", "input_schema": _schema(command="What to run, mkcomm")},
        {"name": "Read", "description": "Reads mkread", "input_schema": _schema(path="Which file"), **EPHEMERAL},
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    ],
    "metadata": {"user_id": "user_account__session_0"},
    "thinking": {"type": "adaptive"},
    "output_config": {"effort": "high"},
}
_TEXT_SOURCE = {"type": "text", "media_type": "text/plain", "data": "mkdata"}
_REMINDER = {"type": "text", "text": "<system-reminder>\nmkremi\n</system-reminder>"}


def claude_code() -> Iterator[list[dict[str, Any]]]:
    """The messages of each request of one session."""
    said: list[dict[str, Any]] = [
        {"role": "user", "content": [_REMINDER, {"type": "text", "text": "mkfirs: what is here?", **EPHEMERAL}]}
    ]
    yield list(said)
    said += [
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "I look.", "signature": "c2lnbmVk"},
                {"type": "redacted_thinking", "data": "c2VhbGVk"},
                {"type": "text", "text": "I look at both. mklook"},
                {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls mkcmda"}},
                {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": {"path": "mkpath"}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "toolu_1", "content": "a.py mkresa"},
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_2",
                    "content": [{"type": "text", "text": "no such file mkresb"}, {"type": "text", "text": "mkresc"}],
                    "is_error": True,
                },
                _REMINDER,
                {"type": "text", "text": "mkgoon: go on", **EPHEMERAL},
            ],
        },
    ]
    yield list(said)
    said += [
        {"role": "assistant", "content": "Done so far. mkdone"},
        {"role": "system", "content": [{"type": "text", "text": "The user changed a.py. mklate"}]},
        {"role": "user", "content": "mkseco: and now?"},
        {"role": "user", "content": [{"type": "text", "text": "mkthir: hurry"}]},
    ]
    yield list(said)
    said += [
        {
            "role": "assistant",
            "content": [
                {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "mkquer"}},
                {
                    "type": "web_search_tool_result",
                    "tool_use_id": "srvtoolu_1",
                    "content": [
                        {
                            "type": "web_search_result",
                            "title": "mktitl",
                            "url": "https://mkaddr.example",
                            "encrypted_content": "c2VhbGVk",
                        }
                    ],
                },
                {"type": "text", "text": "Found it. mkfoun"},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "document", "title": "mkdocu", "source": _TEXT_SOURCE},
                {"type": "text", "text": "mklast"},
            ],
        },
    ]
    yield list(said)


# ----------------------------------------------------------------------------------------- over /v1/responses

CODEX: Final[dict[str, Any]] = {
    "max_output_tokens": 24,
    "instructions": "You are mkcode, a coding agent.\nmkinst",
    "tools": [
        {
            "type": "function",
            "name": "exec_command",
            "description": "Runs mkexec",
            "strict": False,
            "parameters": _schema(cmd="What to run"),
        },
        {"type": "web_search"},
        {"type": "custom", "name": "apply_patch", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "session-0",
}


def _said(role: str, text: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def codex() -> Iterator[list[dict[str, Any]]]:
    """The input of each request of one session."""
    items: list[dict[str, Any]] = [
        {
            "type": "message",
            "role": "developer",
            "content": [{"type": "input_text", "text": text} for text in ("<permissions> mkperm", "mkmode")],
        },
        _said("user", "<environment_context> mkcont"),
        _said("user", "mkfirs: fix the test"),
    ]
    yield list(items)
    items += [
        {"type": "reasoning", "summary": [], "content": None, "encrypted_content": "gAAAAABo" * 20},
        _said("assistant", "I look. mklook"),
        {"type": "function_call", "call_id": "c1", "name": "exec_command", "arguments": '{"cmd": "ls mkcmda"}'},
        {"type": "function_call", "call_id": "c2", "name": "exec_command", "arguments": '{"cmd": "cut off'},
        {"type": "function_call_output", "call_id": "c1", "output": "a.py mkresa"},
        {"type": "function_call_output", "call_id": "c2", "output": "failed to parse mkresb"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "encrypted_content": None},
        {"type": "custom_tool_call", "call_id": "c3", "name": "apply_patch", "input": "*** Begin mkpatc"},
        {"type": "custom_tool_call_output", "call_id": "c3", "output": [{"type": "input_text", "text": "mkresc"}]},
        {"type": "local_shell_call", "call_id": "c4", "action": {"type": "exec", "command": ["mkshel"]}},
        {"type": "local_shell_call_output", "call_id": "c4", "output": "mkresd"},
    ]
    yield list(items)
    items += [
        _said("assistant", "Done. mkdone"),
        {"type": "web_search_call", "id": "ws_1", "status": "completed"},
        {"type": "item_reference", "id": "msg_1"},
        {"type": "compaction", "encrypted_content": "gAAAAABo" * 20},
        {"type": "of_the_future", "payload": {"x": 1}},
        {"type": "agent_message", "author": "a", "content": [{"type": "input_text", "text": "mkothe"}]},
        _said("developer", "mklate"),
        _said("user", "mkseco: and now?"),
    ]
    yield list(items)
