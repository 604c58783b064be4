"""Which of vLLM's tool and reasoning parsers fit a model, read from its chat template. Pure.

vLLM chooses none by itself. The template shows how calls and thoughts are written, so it decides. The architecture
only distinguishes dialects, and helps if a template has no marker. A wrong reasoning parser is worse than none, because
it would return whole answers as thoughts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Parsers:
    """Names as vLLM registers them; None: no such parser."""

    tool: str | None = None
    reasoning: str | None = None


@dataclass(frozen=True, slots=True)
class _Rule:
    """``parser`` is chosen when all ``marks`` occur in the template (and ``architecture`` matches, when given)."""

    marks: tuple[str, ...]
    parser: str | None
    architecture: str = ""
    without: str = ""

    def fits(self, template: str, architecture: str) -> bool:
        return (
            all(mark in template for mark in self.marks)
            and not (self.without and self.without in template)
            and (not self.architecture or re.match(self.architecture, architecture) is not None)
        )


# First match wins; a rule with an architecture stands before the general one of the same marks.
_TOOLS: Final = (
    _Rule(("<|channel|>", "<|call|>"), "openai"),
    _Rule(("<｜DSML｜tool_calls>",), "deepseek_v41", architecture="DeepseekV41"),
    _Rule(("<｜DSML｜tool_calls>",), "deepseek_v4"),
    _Rule(("<｜DSML｜function_calls>",), "deepseek_v32"),
    _Rule(("<｜tool▁calls▁begin｜>", "```json"), "deepseek_v3"),
    _Rule(("<｜tool▁calls▁begin｜>",), "deepseek_v31"),
    _Rule(("<|tool_calls_section_begin|>",), "kimi_k3", architecture="KimiK3"),
    _Rule(("<|tool_calls_section_begin|>",), "kimi_k2"),
    _Rule(("<minimax:tool_call>",), "minimax_m3", architecture="MiniMaxM3"),
    _Rule(("<minimax:tool_call>",), "minimax_m2"),
    _Rule(("<seed:tool_call>",), "seed_oss"),
    _Rule(("<longcat_tool_call>",), "longcat"),
    _Rule(("<tool_call>", "<arg_key>"), "poolside_v1", architecture="Laguna"),
    _Rule(("<tool_call>", "<arg_key>"), "glm47"),
    _Rule(("<tool_call>", "<function=", "<parameter="), "mimo", architecture="MiMo"),
    _Rule(("<tool_call>", "<function=", "<parameter="), "step3p5", architecture="Step3p5"),
    _Rule(("<tool_call>", "<function=", "<parameter="), "qwen3_xml"),
    _Rule(("<|tool_call>", "<|channel>"), "gemma4"),
    _Rule(("<start_function_call>",), "functiongemma"),
    _Rule(("<|tool_call_start|>",), "lfm2"),
    _Rule(("<|tools_prefix|>",), "apertus"),
    _Rule(("[TOOL_CALLS]",), "mistral"),
    _Rule(("<|python_tag|>",), "llama4_pythonic", architecture="Llama4"),
    _Rule(("<|python_tag|>",), "llama3_json"),
    _Rule(("Environment: ipython",), "llama3_json", architecture="Llama"),
    _Rule(("<|tool_call|>",), "granite"),
    _Rule(("<|START_ACTION|>",), "cohere_command3"),
    _Rule(("<|action_start|><|plugin|>",), "internlm"),
    _Rule(("<function_calls>",), "olmo3", architecture="Olmo"),
    _Rule(("<dots_function_call>",), "dots"),
    _Rule(("<tool_calls>",), "jamba", architecture="Jamba"),
    _Rule(("<tool_calls>",), "hunyuan_a13b", architecture="HunYuan"),
    _Rule(("functools[",), "phi4_mini_json"),
    _Rule(("<tool_call>", "name", "arguments"), "granite4", architecture="GraniteMoeHybrid"),
    _Rule(("<tool_call>", "name", "arguments"), "ernie45", architecture="Ernie4"),
    _Rule(("<tool_call>", "name", "arguments"), "hermes"),
)

# Families with a reasoning parser of their own, which is used if their template shows that they think.
_THINKERS: Final = (
    ("DeepseekV41", "deepseek_v41"),
    ("DeepseekV4", "deepseek_v4"),
    ("Glm|Glm4Moe", "glm47"),
    ("KimiK3", "kimi_k3"),
    ("Kimi", "kimi_k2"),
    ("MiniMaxM3", "minimax_m3"),
    ("MiniMaxM2", "minimax_m2"),
    ("NemotronH|Nemotron3", "nemotron_v3"),
    ("Ernie4", "ernie45"),
    ("HunYuan", "hunyuan_a13b"),
    ("HYV4", "hy_v4"),
    ("HYV3", "hy_v3"),
    ("Olmo3", "olmo3"),
    ("MiMo", "mimo"),
    ("Step3p5", "step3p5"),
    ("Step3", "step3"),
    ("BailingMoeV3", "ling3"),
    ("Plamo3", "plamo3"),
    ("Laguna", "poolside_v1"),
)
_REASONING: Final = (
    _Rule(("<|channel|>analysis",), "openai_gptoss"),
    _Rule(("<|channel|>", "analysis"), "openai_gptoss", architecture="GptOss"),
    _Rule(("[THINK]",), "mistral"),
    _Rule(("<seed:think>",), "seed_oss"),
    _Rule(("<|channel>",), "gemma4", architecture="Gemma4"),
    _Rule(("<mm:think>",), "minimax_m3"),
    _Rule(("Here is my thought process",), "granite"),
    _Rule(("<|START_THINKING|>",), "cohere_command3"),
)

_TOOLS_WORD: Final = re.compile(r"\btools\b")
# The last thing written for a new answer is an open <think>, not the empty <think></think> of models that don't think.
_OPEN_THINK: Final = re.compile(r"<think>(?!(?:\\n|\s)*</think>)[^<]*\Z")
_GENERATION_PROMPT: Final = re.compile(r"add_generation_prompt")


def choose_parsers(
    template: str | None, architecture: str, *, response_template: bool = False, mistral_tokenizer: bool = False
) -> Parsers:
    """The parsers for a model.

    ``response_template``: tokenizer_config.json carries one, so vLLM can parse by it. ``mistral_tokenizer``: the model
    comes with tekken.json or params.json, whose template is built into the tokenizer.
    """
    if response_template:
        return Parsers("hf", "hf")
    if template is None:
        return Parsers("mistral") if mistral_tokenizer else Parsers()
    return Parsers(_tool_parser(template, architecture, mistral_tokenizer), _reasoning_parser(template, architecture))


def takes_tools(template: str) -> bool:
    """Whether a chat template shows tools to the model, in whichever spelling."""
    return _TOOLS_WORD.search(template) is not None


def shows_thoughts(template: str) -> bool:
    """Whether a chat template has a place for what a model thinks."""
    return "think" in template.lower()


def _tool_parser(template: str, architecture: str, mistral_tokenizer: bool) -> str | None:
    if not takes_tools(template):
        return None
    for rule in _TOOLS:
        if rule.fits(template, architecture):
            return rule.parser
    return "mistral" if mistral_tokenizer else None


def _reasoning_parser(template: str, architecture: str) -> str | None:
    for rule in _REASONING:
        if rule.fits(template, architecture):
            return rule.parser
    if "<think>" not in template and "</think>" not in template:
        return None
    switch = "enable_thinking" in template
    always = _always_thinks(template)
    deepseek_switch = re.search(r"\bthinking\b", template) is not None and "<｜Assistant｜>" in template
    if not (switch or always or deepseek_switch or "<｜Assistant｜>" in template):
        return None
    for family, parser in _THINKERS:
        if re.match(family, architecture):
            return parser
    if deepseek_switch:
        return "deepseek_v3"
    return "qwen3" if switch else "deepseek_r1"


def _always_thinks(template: str) -> bool:
    """Whether the prompt for a new answer ends inside a thought."""
    for found in _GENERATION_PROMPT.finditer(template):
        # cut out what the template writes there: from the condition to its end
        branch = re.split(r"{%-?\s*(?:endif|elif|else)\b", template[found.end() :], maxsplit=1)[0]
        written = re.sub(r"{{-?|-?}}|-?%}|{%-?|['\"]", " ", branch)
        if _OPEN_THINK.search(written.rstrip()):
            return True
    return False
