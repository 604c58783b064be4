from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.model_files import CONFIG, files, read_facts, tensor
from vllama.errors import ModelUnusable
from vllama.models.facts import ModelFiles
from vllama.models.files import read_files

TINYCHAT = Path(__file__).parents[3] / "vllama/models/builtin/tinychat"


def test_our_own_model():
    facts = read_facts(read_files(TINYCHAT))
    assert (facts.architecture, facts.family, facts.task) == ("Qwen3ForCausalLM", "qwen3", "generate")
    assert (facts.parameter_count, facts.weight_bytes, facts.quantization) == (1_855_840, 3_711_680, "BF16")
    assert (facts.context_length, facts.embedding_length, facts.dtype) == (2048, 160, "bfloat16")
    assert facts.capabilities == ("completion", "tools", "thinking")
    assert (facts.tool_parser, facts.reasoning_parser) == ("hermes", "qwen3")
    assert facts.stop_tokens == ("<|im_end|>", "<|endoftext|>", "<|im_start|>")
    assert facts.special_tokens["<|im_start|>"] == 1016
    # as Ollama reported them for the same weights
    assert facts.details == {
        "attention.head_count": 5,
        "attention.head_count_kv": 1,
        "attention.key_length": 64,
        "attention.layer_norm_rms_epsilon": 1e-06,
        "attention.value_length": 64,
        "block_count": 5,
        "feed_forward_length": 448,
        "rope.freq_base": 10000,
        "vocab_size": 1024,
        "general.file_type": 32,
        "tokenizer.ggml.eos_token_id": 1017,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.padding_token_id": 1015,
    }


def bert(**more: Any):
    config = {"architectures": ["BertModel"], "model_type": "bert", "max_position_embeddings": 512}
    return ModelFiles(
        "m",
        {key: value for key, value in (CONFIG | config).items() if key != "num_key_value_heads"},
        (
            tensor("embeddings.position_ids", "I64", 1, 512),
            tensor("encoder.w", "F32", 10, 10),
            tensor("pooler.dense.weight", "F32", 10, 10),
        ),
        modules=({"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"},),
        **more,
    )


def test_an_embedding_model():
    facts = read_facts(bert(sentence_bert={"max_seq_length": 256}, pooling={"pooling_mode_mean_tokens": True}))
    assert (facts.task, facts.capabilities, facts.dtype) == ("embed", ("embedding",), "float32")
    assert facts.parameter_count == 100  # neither the pooler nor buffers
    assert facts.context_length == 256
    assert facts.details["context_length"] == 512
    assert facts.details["pooling_type"] == 1
    assert facts.attention.full_layers == 0
    assert facts.tool_parser is None


def test_an_embedder_made_of_a_decoder_keeps_a_cache():
    facts = read_facts(files(modules=({"type": "sentence_transformers.models.Pooling"},)))
    assert (facts.task, facts.attention.full_layers) == ("embed", 2)


@pytest.mark.parametrize(
    "architecture", ["BertForSequenceClassification", "Qwen2ForRewardModel", "RobertaForTokenClassification"]
)
def test_classifiers_are_refused(architecture: str):
    with pytest.raises(ModelUnusable, match="classifier or reranker"):
        read_facts(files({"architectures": [architecture]}))


@pytest.mark.parametrize("value", [None, [], "Qwen", [1]])
def test_a_config_without_architecture_is_refused(value: object):
    with pytest.raises(ModelUnusable, match="names no architecture"):
        read_facts(files({"architectures": value}))


@pytest.mark.parametrize(
    ("block", "level"),
    [
        ({"quant_method": "awq", "bits": 4}, "AWQ"),
        ({"quant_method": "gptq"}, "GPTQ"),
        ({"quant_method": "fp8"}, "FP8"),
        ({"quant_method": "mxfp4"}, "MXFP4"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "NVFP4"),
        ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, "NVFP4"),
        ({"quant_method": "compressed-tensors", "format": "float-quantized"}, "FP8"),
        ({"quant_method": "compressed-tensors", "format": "int-quantized",
          "config_groups": {"group_0": {"weights": {"num_bits": 8}}}}, "W8A8"),
        ({"quant_method": "compressed-tensors", "format": "pack-quantized",
          "config_groups": {"group_0": {"weights": {"num_bits": 4}}}}, "W4A16"),
        ({}, "BF16"),
    ],
)  # fmt: skip
def test_quantisation_is_named_in_few_letters(block: dict[str, Any], level: str):
    facts = read_facts(files({"quantization_config": block}))
    assert facts.quantization == level
    assert bool(facts.dtype) == (not block)


@pytest.mark.parametrize("method", ["bitsandbytes", "gguf"])
def test_what_vllm_no_longer_loads_is_refused(method: str):
    with pytest.raises(ModelUnusable, match=f"{method} checkpoints are not supported"):
        read_facts(files({"quantization_config": {"quant_method": method}}))


def test_packed_weights_count_as_the_parameters_they_hold():
    facts = read_facts(
        files(
            {"quantization_config": {"quant_method": "awq", "bits": 4}},
            tensor("l.qweight", "I32", 10, 10),
            tensor("l.qzeros", "I32", 1, 10),
            tensor("l.scales", "F16", 1, 80),
            tensor("norm.weight", "F16", 7),
        )
    )
    assert facts.parameter_count == 800 + 7
    assert facts.weight_bytes == 400 + 40 + 160 + 14


def test_eight_bit_packing_and_half_bytes():
    config = {"quantization_config": {"quant_method": "gptq", "bits": 8}}
    assert read_facts(files(config, tensor("l.qweight", "I32", 10))).parameter_count == 40
    assert read_facts(files({}, tensor("experts.gate_up_proj_blocks", "U8", 10))).parameter_count == 20


@pytest.mark.parametrize(
    ("config", "tokenizer", "context"),
    [
        ({"max_position_embeddings": 32768}, {}, 32768),
        ({"max_position_embeddings": 32768}, {"model_max_length": 8192}, 8192),
        ({"max_position_embeddings": 32768}, {"model_max_length": 1e30}, 32768),
        ({"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}}, {}, 16384),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, {}, 131072),
        ({"max_position_embeddings": 131072, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, {}, 131072),
        ({"max_position_embeddings": None, "n_positions": 1024}, {}, 1024),
        ({"max_position_embeddings": None}, {}, 2048),
        ({"text_config": {"max_position_embeddings": 8192, "hidden_size": 64}}, {}, 8192),
    ],
)
def test_the_context_is_the_one_that_vllm_derives(config: dict[str, Any], tokenizer: dict[str, Any], context: int):
    assert read_facts(files(config, tokenizer_config=tokenizer)).context_length == context


def test_a_vision_model_says_so():
    facts = read_facts(files({"vision_config": {}, "text_config": {"hidden_size": 64, "num_hidden_layers": 3}}))
    assert "vision" in facts.capabilities
    assert (facts.embedding_length, facts.attention.full_layers) == (64, 3)


def test_filling_in_needs_all_marks():
    one, both = {"<|fim_prefix|>": 5}, {"<|fim_prefix|>": 5, "<|fim_suffix|>": 6, "<|fim_middle|>": 7}
    assert "insert" not in read_facts(files(tokenizer={"added_tokens": one})).capabilities
    assert "insert" in read_facts(files(tokenizer={"added_tokens": both})).capabilities


def test_turns_end_at_eos_and_at_the_templates_marks():
    facts = read_facts(
        files(
            {"eos_token_id": 1},
            generation_config={"eos_token_id": [2, 1, 99]},
            tokenizer={"added_tokens": {"</s>": 1, "<|eot_id|>": 2, "<|start_header_id|>": 3, "<|im_start|>": 4}},
            tokenizer_config={"eos_token": {"content": "</s>"}},
            chat_template="<|start_header_id|>user<|eot_id|>",
        )
    )
    assert facts.stop_tokens == ("<|eot_id|>", "</s>", "<|start_header_id|>")


def test_added_tokens_are_found_in_old_tokenizer_configs():
    config = {"added_tokens_decoder": {"7": {"content": "<x>"}, "bad": {"content": "y"}, "8": 1}}
    assert read_facts(files(tokenizer_config=config)).special_tokens == {"<x>": 7}


@pytest.mark.parametrize(
    ("tokenizer", "kind"),
    [
        ({"model_type": "BPE"}, "gpt2"),
        ({"model_type": "BPE", "byte_fallback": True}, "llama"),
        ({"model_type": "WordPiece"}, "bert"),
        ({"model_type": "Unigram"}, "t5"),
        ({}, None),
    ],
)
def test_tokenizers_have_llama_cpps_names(tokenizer: dict[str, Any], kind: str | None):
    assert read_facts(files(tokenizer=tokenizer)).details.get("tokenizer.ggml.model") == kind


@pytest.mark.parametrize("name", ["model.layers.{}.mlp.w", "transformer.h.{}.attn.w", "encoder.layer.{}.w"])
def test_a_config_that_names_more_layers_than_there_are_is_refused(name: str):
    held = [tensor(name.format(number), "BF16", 2, 2) for number in range(2)]
    assert read_facts(files({"num_hidden_layers": 2}, *held))
    with pytest.raises(ModelUnusable, match="states 5000 layers, the weights have 2") as caught:
        read_facts(files({"num_hidden_layers": 5000}, *held))
    assert caught.value.hint


def test_layers_beyond_the_config_are_helpers_for_speculation():
    extra = [tensor(f"model.layers.{number}.w", "BF16", 2, 2) for number in range(3)]
    assert read_facts(files({"num_hidden_layers": 2}, *extra))
