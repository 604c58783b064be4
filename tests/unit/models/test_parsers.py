from __future__ import annotations

from pathlib import Path

import pytest

from vllama.models.parsers import Parsers, choose_parsers

TINYCHAT = Path(__file__).parents[3] / "vllama/models/builtin/tinychat/chat_template.jinja"
TOOLS = "{% if tools %}{{ tools }}{% endif %}"
THINKS = "{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}"
ANSWER = "{% if add_generation_prompt %}<|im_start|>assistant\n"


def test_our_own_model_calls_like_hermes_and_thinks_like_qwen3():
    assert choose_parsers(TINYCHAT.read_text(), "Qwen3ForCausalLM") == Parsers("hermes", "qwen3")


@pytest.mark.parametrize(
    ("marks", "architecture", "parser"),
    [
        ("<|channel|> <|call|>", "GptOssForCausalLM", "openai"),
        ("<｜DSML｜tool_calls>", "DeepseekV4ForCausalLM", "deepseek_v4"),
        ("<｜DSML｜tool_calls>", "DeepseekV41ForCausalLM", "deepseek_v41"),
        ("<｜DSML｜function_calls>", "DeepseekV32ForCausalLM", "deepseek_v32"),
        ("<｜tool▁calls▁begin｜> ```json", "DeepseekV3ForCausalLM", "deepseek_v3"),
        ("<｜tool▁calls▁begin｜>", "DeepseekV3ForCausalLM", "deepseek_v31"),
        ("<|tool_calls_section_begin|>", "DeepseekV3ForCausalLM", "kimi_k2"),
        ("<minimax:tool_call>", "MiniMaxM2ForCausalLM", "minimax_m2"),
        ("<minimax:tool_call>", "MiniMaxM3ForCausalLM", "minimax_m3"),
        ("<seed:tool_call>", "SeedOssForCausalLM", "seed_oss"),
        ("<longcat_tool_call>", "LongcatFlashForCausalLM", "longcat"),
        ("<tool_call> <arg_key>", "Glm4MoeForCausalLM", "glm47"),
        ("<tool_call> <arg_key>", "LagunaForCausalLM", "poolside_v1"),
        ("<tool_call> <function= <parameter=", "Qwen3MoeForCausalLM", "qwen3_xml"),
        ("<tool_call> <function= <parameter=", "NemotronHForCausalLM", "qwen3_xml"),
        ("<tool_call> <function= <parameter=", "MiMoV2FlashForCausalLM", "mimo"),
        ("<tool_call> <function= <parameter=", "Step3p5ForCausalLM", "step3p5"),
        ("<|tool_call> <|channel>", "Gemma4ForConditionalGeneration", "gemma4"),
        ("<start_function_call>", "Gemma3ForCausalLM", "functiongemma"),
        ("<|tool_call_start|>", "Lfm2ForCausalLM", "lfm2"),
        ("<|tools_prefix|>", "ApertusForCausalLM", "apertus"),
        ("[TOOL_CALLS]", "MistralForCausalLM", "mistral"),
        ("<|python_tag|>", "LlamaForCausalLM", "llama3_json"),
        ("Environment: ipython", "LlamaForCausalLM", "llama3_json"),
        ("<|python_tag|>", "Llama4ForConditionalGeneration", "llama4_pythonic"),
        ("<|tool_call|>", "GraniteForCausalLM", "granite"),
        ("<|START_ACTION|>", "Cohere2ForCausalLM", "cohere_command3"),
        ("<|action_start|><|plugin|>", "InternLM2ForCausalLM", "internlm"),
        ("<function_calls>", "Olmo3ForCausalLM", "olmo3"),
        ("<dots_function_call>", "DotsForCausalLM", "dots"),
        ("<tool_calls>", "JambaForCausalLM", "jamba"),
        ("<tool_calls>", "HunYuanMoEV1ForCausalLM", "hunyuan_a13b"),
        ("<tool_calls>", "OtherForCausalLM", None),
        ("functools[", "Phi3ForCausalLM", "phi4_mini_json"),
        ('<tool_call> {"name": x, "arguments": y}', "Qwen2ForCausalLM", "hermes"),
        ('<tool_call> {"name": x, "arguments": y}', "GraniteMoeHybridForCausalLM", "granite4"),
        ('<tool_call> {"name": x, "arguments": y}', "Ernie4_5ForCausalLM", "ernie45"),
        ("no marker at all", "Gemma3ForCausalLM", None),
    ],
)
def test_the_way_of_calling_decides_the_tool_parser(marks: str, architecture: str, parser: str | None):
    assert choose_parsers(TOOLS + marks, architecture).tool == parser


def test_a_template_that_knows_no_tools_has_no_tool_parser():
    assert choose_parsers('<tool_call> {"name", "arguments"}', "Qwen3ForCausalLM").tool is None


@pytest.mark.parametrize(
    ("template", "architecture", "parser"),
    [
        (THINKS, "Qwen3ForCausalLM", "qwen3"),
        (THINKS, "Glm4MoeForCausalLM", "glm47"),
        (THINKS, "NemotronHForCausalLM", "nemotron_v3"),
        (THINKS, "Ernie4_5_MoeForCausalLM", "ernie45"),
        (ANSWER + "<think>\n{% endif %}", "Qwen3ForCausalLM", "deepseek_r1"),
        (
            "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n<think>\\n' }}{%- endif %}",
            "Qwen2",
            "deepseek_r1",
        ),
        (ANSWER + "<think>\n\n</think>\n\n{% endif %}", "Qwen3ForCausalLM", None),
        ("{{ content.split('</think>')[-1] }}" + ANSWER + "{% endif %}", "Qwen3ForCausalLM", None),
        ("{{ c.split('</think>') }}{{ '<｜Assistant｜>' }}", "LlamaForCausalLM", "deepseek_r1"),
        ("{% if thinking %}<｜Assistant｜><think>{% endif %}", "DeepseekV3ForCausalLM", "deepseek_v3"),
        ("{% if thinking %}<｜Assistant｜><think>{% endif %}", "DeepseekV4ForCausalLM", "deepseek_v4"),
        ("[THINK]", "MistralForCausalLM", "mistral"),
        ("<seed:think>", "SeedOssForCausalLM", "seed_oss"),
        ("<|channel|>analysis", "GptOssForCausalLM", "openai_gptoss"),
        ("<|channel>", "Gemma4ForConditionalGeneration", "gemma4"),
        ("Here is my thought process", "GraniteForCausalLM", "granite"),
        ("<mm:think>", "MiniMaxM3ForCausalLM", "minimax_m3"),
        ("<|START_THINKING|>", "Cohere2ForCausalLM", "cohere_command3"),
        ("nothing", "Qwen3ForCausalLM", None),
    ],
)
def test_only_a_template_that_thinks_has_a_reasoning_parser(template: str, architecture: str, parser: str | None):
    assert choose_parsers(template, architecture).reasoning == parser


def test_a_checkpoint_that_describes_its_answers_is_parsed_by_that():
    assert choose_parsers(TOOLS, "X", response_template=True) == Parsers("hf", "hf")


def test_mistrals_own_tokenizer_brings_its_template_along():
    assert choose_parsers(None, "MistralForCausalLM", mistral_tokenizer=True) == Parsers("mistral")
    assert choose_parsers(None, "LlamaForCausalLM") == Parsers()
