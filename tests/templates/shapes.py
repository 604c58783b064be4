"""Template shapes: the rules that published chat templates are known for, each over tinychat's marks.

A shape is a rule before a common body. Where a public report tells of a client that met the rule, its number is named.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.templates import STRICT

_BODY = """\
{%- if tools %}<|im_start|>system
{% if turns and turns[0].role == 'system' %}{{ turns[0].content }}

{% endif %}# Tools
<tools>{% for tool in tools %}{{ '\\n' }}{{ tool | tojson }}{% endfor %}{{ '\\n' }}</tools>
Call a tool as <tool_call>
{"name": NAME, "arguments": ARGS}
</tool_call><|im_end|>
{% endif %}{% for m in turns %}{% if m.role == 'tool' %}<|im_start|>user
<tool_response>
{{ m.content }}
</tool_response><|im_end|>
{% elif m.role in ['user', 'assistant'] or (m.role == 'system' and not (tools and loop.first)) -%}
<|im_start|>{{ m.role }}
{{ m.content or '' }}{% for call in m.tool_calls or [] %}<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>{% endfor %}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% if enable_thinking is defined and enable_thinking is false %}<think>

</think>

{% endif %}{% endif %}"""
_ALL = "{%- set turns = messages %}"
_RAISE = "{{ raise_exception('%s') }}"


def _each(condition: str, said: str) -> str:
    """Raises for a message of which ``condition`` is true."""
    return f"{{%- for m in messages %}}{{% if {condition} %}}{_RAISE % said}{{% endif %}}{{% endfor %}}"


def _only(kept: str) -> str:
    """Shows the messages of which ``kept`` is true, and no others."""
    return (
        "{%- set state = namespace(turns=[]) %}{% for m in messages %}{% if " + kept + " %}"
        "{% set state.turns = state.turns + [m] %}{% endif %}{% endfor %}{% set turns = state.turns %}"
    )


@dataclass(frozen=True)
class Shape:
    """One kind of template."""

    template: str
    source: str = ""
    """A public report: project and number."""
    tools: bool = True
    """It can show tools at all."""


SHAPES = {
    "strict": Shape(STRICT.read_text(), "claude-code 63469"),
    "system only at the front": Shape(
        _ALL + _each("m.role == 'system' and not loop.first", "the system message comes first") + _BODY, "ollama 16372"
    ),
    "no system role": Shape(_ALL + _each("m.role == 'system'", "there is no system role") + _BODY, "autogen 3597"),
    "leaves the system message out": Shape(_only("m.role != 'system'") + _BODY, "vllm 6862"),
    "leaves late system messages out": Shape(_only("m.role != 'system' or loop.first") + _BODY, "ollama 17754"),
    "shows the last system message only": Shape(
        "{%- set last = (messages | selectattr('role', 'equalto', 'system') | list)[-1:] %}"
        "{% set turns = last + (messages | rejectattr('role', 'equalto', 'system') | list) %}" + _BODY,
        "ollama 17774",
    ),
    "strictly in turns": Shape(
        _ALL
        + "{%- for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        + _RAISE % "roles must take turns, the user first"
        + "{% endif %}{% endfor %}"
        + _BODY,
        "autogen 1037",
    ),
    "no two of one role": Shape(
        _ALL
        + _each("not loop.first and m.role in ['user', 'assistant'] and m.role == loop.previtem.role", "take turns")
        + _BODY,
        "vllm 41114",
    ),
    "the user begins": Shape(
        _ALL
        + "{%- set said = messages | rejectattr('role', 'equalto', 'system') | list %}"
        + "{% if said and said[0].role != 'user' %}"
        + _RAISE % "the user speaks first"
        + "{% endif %}"
        + _BODY,
    ),
    "the last is the user or a tool": Shape(
        _ALL + _each("loop.last and m.role not in ['user', 'tool']", "the user has the last word") + _BODY,
        "opencode 15059",
    ),
    "there is a user": Shape(
        _ALL
        + "{%- if not messages | selectattr('role', 'equalto', 'user') | list %}"
        + _RAISE % "nobody asks anything"
        + "{% endif %}"
        + _BODY,
    ),
    "a result is answered first": Shape(
        _ALL + _each("m.role == 'user' and not loop.first and loop.previtem.role == 'tool'", "answer first") + _BODY,
        "claude-code 77698",
    ),
    "one call at a time": Shape(_ALL + _each("m.tool_calls and m.tool_calls | length > 1", "one call") + _BODY),
    "no role for tools": Shape(
        _ALL + _each("m.role == 'tool' or m.tool_calls", "there are no tools") + _BODY, tools=False
    ),
    "tools beside a system message only": Shape(
        _ALL + "{%- if messages[0].role != 'system' %}{% set tools = none %}{% endif %}" + _BODY
    ),
    "text or calls": Shape(
        _ALL + _BODY.replace("{{ m.content or '' }}", "{{ '' if m.tool_calls else m.content or '' }}")
    ),
    "content in parts": Shape(
        _ALL
        + _BODY.replace(
            "{{ m.content or '' }}",
            "{% for part in m.content %}{% if part.text %}{{ part.text }}{% endif %}{% endfor %}",
        ).replace("{{ turns[0].content }}", "{% for part in turns[0].content %}{{ part.text }}{% endfor %}"),
    ),
    "levels low, medium, xhigh": Shape(
        _ALL
        + "{%- if reasoning_effort and reasoning_effort not in ['low', 'medium', 'xhigh'] %}"
        + _RAISE % "no such level"
        + "{% endif %}"
        + _BODY,
        "Qwen3.8 217",
    ),
    "only the last message": Shape("{%- set turns = messages[-1:] %}" + _BODY),
}
