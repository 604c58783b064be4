"""What published models look like: the shapes of their config.json, and what each of them is served for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.model_files import CONFIG, files, make_model, read_facts, safetensors
from vllama.errors import ModelUnusable
from vllama.install.capabilities import shipped_registry
from vllama.install.registry import Registry
from vllama.models import facts
from vllama.models.files import read_files

DENSE = {key: value for key, value in CONFIG.items() if key not in {"architectures", "model_type"}}


@pytest.mark.parametrize(
    ("architecture", "task"),
    [
        # generators whose names end like those of encoders
        ("GPT2LMHeadModel", "generate"),
        ("InternVLChatModel", "generate"),
        ("H2OVLChatModel", "generate"),
        ("ChatGLMModel", "generate"),
        ("UltravoxModel", "generate"),
        ("Qwen2_5OmniModel", "generate"),
        ("MossAudioModel", "generate"),
        # and those without an end at all
        ("MiniCPMV", "generate"),
        ("NVLM_D", "generate"),
        ("HfMoondream", "generate"),
        ("Llama_Nemotron_Nano_VL", "generate"),
        ("VoxtralRealtimeGeneration", "generate"),
        # vLLM runs these through transformers
        ("GPTNeoXForCausalLM", "generate"),
        ("SmolLM3ForCausalLM", "generate"),
        ("NemotronHForCausalLM", "generate"),
        # embedders, among them some that end like generators' bases
        ("BertModel", "embed"),
        ("XLMRobertaModel", "embed"),
        ("NomicBertModel", "embed"),
        ("Gemma3TextModel", "embed"),
        ("Qwen3Model", "embed"),
        ("BloomModel", "embed"),
        ("BertForMaskedLM", "embed"),
        ("VoyageQwen3BidirectionalEmbedModel", "embed"),
    ],
)
def test_the_engine_s_registry_says_what_a_model_does(architecture: str, task: str):
    assert read_facts(files({"architectures": [architecture]})).task == task


@pytest.mark.parametrize(
    ("architecture", "words"),
    [
        ("Qwen3ForSequenceClassification", "classifier or reranker"),
        ("Qwen2ForProcessRewardModel", "classifier or reranker"),
        ("JinaVLForRanking", "classifier or reranker"),
        ("HF_ColBERT", "classifier or reranker"),
        ("WhisperForConditionalGeneration", "transcribes speech"),
        ("CohereAsrForConditionalGeneration", "transcribes speech"),
        ("EagleLlamaForCausalLM", "draft model"),
        ("LlamaForCausalLMEagle3", "draft model"),
        ("MedusaModel", "draft model"),
        ("QWenLMHeadModel", r"up to version 0\.23\.0"),
        ("BaichuanForCausalLM", r"up to version 0\.23\.0"),
        ("T5ForConditionalGeneration", r"vLLM 0\.32\.0 does not know the architecture T5ForConditionalGeneration"),
        ("MPNetModel", "does not know the architecture"),
        ("RWForNobodyModel", "does not know the architecture RWForNobodyModel"),
    ],
)
def test_what_the_engine_can_not_serve_is_known_from_the_files(architecture: str, words: str):
    with pytest.raises(ModelUnusable, match=words) as caught:
        read_facts(files({"architectures": [architecture]}))
    assert caught.value.hint


def test_a_generator_with_a_pooling_module_is_an_embedder():
    modules = ({"type": "sentence_transformers.models.Pooling"},)
    assert read_facts(files({"architectures": ["Qwen3ForCausalLM"]}, modules=modules)).task == "embed"


def test_another_engine_may_know_other_models():
    registry = Registry("9.9.9", {"NewForCausalLM": "generate"}, {}, frozenset())
    assert facts.read_facts(files({"architectures": ["NewForCausalLM"]}), registry).task == "generate"
    with pytest.raises(ModelUnusable, match=r"vLLM 9\.9\.9 does not know the architecture Qwen3ForCausalLM"):
        facts.read_facts(files(), registry)


def test_of_several_architectures_the_first_that_is_known_counts():
    assert read_facts(files({"architectures": ["OwnBertThing", "BertModel"]})).task == "embed"


def test_a_generator_that_brings_its_own_code_is_left_to_the_engine():
    config = {"architectures": ["OwnForCausalLM"], "auto_map": {"AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}}
    assert read_facts(files(config)).task == "generate"


AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128}


@pytest.mark.parametrize(
    "config",
    [
        {"quantization_config": AWQ},
        {"compression_config": AWQ},
        {"text_config": {**DENSE, "quantization_config": AWQ}, "vision_config": {}},
        {"llm_config": {**DENSE, "quantization_config": AWQ}},
        {"language_config": {**DENSE, "quantization_config": AWQ}},
        {"thinker_config": {"text_config": {**DENSE, "quantization_config": AWQ}}},
        {"thinker_config": {"quantization_config": AWQ, "text_config": DENSE}},
        {"quantization_config": {}, "text_config": {**DENSE, "quantization_config": AWQ}},
        {"quantization_config": None, "text_config": {**DENSE, "quantization_config": AWQ}},
    ],
)
def test_a_quantisation_is_found_wherever_it_is_declared(config: dict[str, Any]):
    found = read_facts(files(config))
    assert (found.quantization, found.dtype) == ("AWQ", "")


MODELOPT = {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "nvfp4"}}
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"


@pytest.mark.parametrize(
    ("config", "modelopt", "level"),
    [
        ({"quantization_config": {"quant_method": "compressed_tensors", "format": "float-quantized"}}, {}, "FP8"),
        ({"quantization_config": {"quant_method": "auto-round", "bits": 4}}, {}, "AUTO-ROUND"),
        ({"quantization_config": MODELOPT}, {}, "NVFP4"),
        ({}, {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8"}}, "FP8"),
        ({"quantization_config": {"quant_method": None}}, {}, "BF16"),
    ],
)  # fmt: skip
def test_a_quantisation_that_is_declared_in_another_way(config: dict[str, Any], modelopt: dict[str, Any], level: str):
    assert read_facts(files(config, quantization=modelopt)).quantization == level


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"quantization": {"group_size": 64, "bits": 4}}, "quantised by MLX"),
        ({"quantization": {"group_size": 64, "bits": 4}, "quantization_config": {"group_size": 64, "bits": 4}}, "MLX"),
        ({"quantization_config": {"quant_method": "exl2", "bits": 4.0}}, "exl2 checkpoints are not supported by vLLM"),
        ({"quantization_config": {"quant_method": "exl3"}}, "exl3 checkpoints"),
        ({"quantization_config": {"quant_method": "hqq"}}, "hqq checkpoints"),
        ({"quantization_config": {"quant_method": "aqlm"}}, "aqlm checkpoints"),
        ({"quantization_config": {"load_in_4bit": True}}, "bitsandbytes checkpoints"),
        ({"text_config": {**DENSE, "quantization_config": {"quant_method": "eetq"}}}, "eetq checkpoints"),
    ],
)
def test_a_quantisation_that_the_engine_lacks_is_refused(config: dict[str, Any], words: str):
    with pytest.raises(ModelUnusable, match=words) as caught:
        read_facts(files(config))
    assert "AWQ" in caught.value.hint


NEMOTRON = (
    b'{"architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "num_hidden_layers": 2,'
    b' "hidden_size": 64, "time_step_limit": [0.0, Infinity], "floor": -Infinity, "rms_norm_eps": NaN,'
    b' "max_position_embeddings": 8192, "max_position_embeddings": 4096}'
)


def test_json_is_read_as_python_reads_it(tmp_path: Path):
    endless = b'{"model_max_length": Infinity, "chat_template": "hi"}'
    place = make_model(
        tmp_path,
        **{
            "config.json": NEMOTRON,
            "generation_config.json": b'{"eos_token_id": [1], "epsilon_cutoff": -Infinity}',
            "tokenizer_config.json": endless,
            "modules.json": b"[]",
            "sentence_bert_config.json": b'{"max_seq_length": NaN}',
        },
    )
    found = read_facts(read_files(place))
    assert (found.architecture, found.task) == ("NemotronHForCausalLM", "generate")
    assert found.context_length == 4096  # of two values with one name the last counts
    assert found.chat_template == "hi"
    assert "attention.layer_norm_rms_epsilon" not in found.details  # no JSON has a word for it


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b'\xef\xbb\xbf{"architectures": []}', "not valid JSON"),
        (b'// a comment\n{"architectures": []}', "not valid JSON"),
        (b'{"architectures": [],}', "not valid JSON"),
        (b"[" * 100_000, "nested too deeply|not valid JSON"),
        (b'{"a": "\xff"}', "not UTF-8"),
        (b"Infinity", "does not hold a JSON object"),
    ],
)
def test_what_python_does_not_read_the_engine_would_not_read_either(tmp_path: Path, data: bytes, words: str):
    with pytest.raises(ModelUnusable, match=words):
        read_files(make_model(tmp_path, **{"config.json": data}))


WEIGHTS = safetensors({"w": ("BF16", (10, 10))})


@pytest.mark.parametrize(
    ("contents", "words"),
    [
        ({"config.json": None, "model_index.json": {}}, "pipeline of diffusers"),
        ({"model.safetensors": None, "weights.npz": b"x"}, "MLX"),
        ({"model.safetensors": None, "onnx/model.onnx": b"x"}, "ONNX"),
        ({"model.safetensors": None, "model.onnx": b"x", "model.onnx_data": b"x"}, "ONNX"),
        ({"model.safetensors": None, "openvino_model.xml": b"x", "openvino_model.bin": b"x"}, "OpenVINO"),
        ({"model.safetensors": None, "rank0.engine": b"x"}, "TensorRT"),
        ({"model.safetensors": None, "tf_model.h5": b"x"}, "TensorFlow"),
        ({"model.safetensors": None, "transformer/model.safetensors": WEIGHTS}, "in folders"),
        ({"config.json": None, "model.nemo": b"x"}, "NeMo"),
        ({"config.json": None, "params.json": {}, "consolidated.safetensors": WEIGHTS}, "Mistral's own format"),
        ({"config.json": None, "adapter_config.json": {}, "adapter_model.safetensors": WEIGHTS}, "LoRA adapter"),
        ({"model.safetensors": None, "adapter_config.json": {}}, "LoRA adapter"),
        ({"tokenizer.json": POINTER}, "tokenizer.json is a git-LFS"),
        ({"config.json": POINTER}, "config.json is a git-LFS"),
    ],
)  # fmt: skip
def test_a_directory_without_a_model_is_reported_for_what_it_is(tmp_path: Path, contents: dict[str, Any], words: str):
    with pytest.raises(ModelUnusable, match=words) as caught:
        read_files(make_model(tmp_path / "m", **contents))
    assert caught.value.hint
    assert str(tmp_path) not in caught.value.message
    assert str(tmp_path) in caught.value.detail


def test_weights_in_mistral_s_file_count_where_there_are_no_others(tmp_path: Path):
    make_model(tmp_path, **{"model.safetensors": None, "consolidated.safetensors": WEIGHTS, "params.json": {}})
    assert sum(tensor.elements for tensor in read_files(tmp_path).tensors) == 100


@pytest.mark.parametrize(
    "name", ["/etc/hostname", "../x.safetensors", "a/b.safetensors", "", "..", "x.bin", "a\0b.safetensors"]
)
def test_an_index_names_files_of_its_own_directory_only(tmp_path: Path, name: str):
    make_model(tmp_path / "m", **{"model.safetensors.index.json": {"weight_map": {"w": name}}})
    with pytest.raises(ModelUnusable, match="is not a weights file of the same directory"):
        read_files(tmp_path / "m")


def test_what_is_no_ordinary_file_is_not_opened(tmp_path: Path):
    import os

    make_model(tmp_path, **{"model.safetensors": None})
    os.mkfifo(tmp_path / "model.safetensors")  # opening it would wait for a writer for ever
    with pytest.raises(ModelUnusable, match="not an ordinary file"):
        read_files(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").write_bytes(WEIGHTS)
    (tmp_path / "config.json").unlink()
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(ModelUnusable, match="not an ordinary file"):
        read_files(tmp_path)


@pytest.mark.parametrize(
    ("contents", "template"),
    [
        ({"chat_template.jinja": b"d", "additional_chat_templates/tool_use.jinja": b"t"}, "t"),
        ({"chat_template.jinja": b"d", "additional_chat_templates/rag.jinja": b"r"}, "d"),
        ({"additional_chat_templates/tool_use.jinja": b"t", "tokenizer_config.json": {"chat_template": "d"}}, "t"),
        ({"chat_template.json": {"chat_template": {"default": "d", "tool_use": "t"}}}, "t"),
        ({"tokenizer_config.json": {"chat_template": [{"name": "rag", "template": "r"}]}}, None),
    ],
)
def test_named_chat_templates(tmp_path: Path, contents: dict[str, Any], template: str | None):
    assert read_files(make_model(tmp_path, **contents)).chat_template == template


def test_the_shipped_registry_is_that_of_the_engine_that_we_install():
    from vllama.install.versions import PINNED

    assert shipped_registry().version == PINNED
