from __future__ import annotations

from dataclasses import replace

import pytest

from vllama.bench.identity import Identity, described, differences, of_ollama, of_openai, unreported

OURS = Identity("vLLama", "API 0.33.0", "mini", "1.7B", "BF16", 4096)


def test_ollamas_api_reports_everything():
    found = of_ollama(
        server="Ollama",
        model="mini",
        version={"version": "0.33.0"},
        show={"details": {"parameter_size": "1.7B", "quantization_level": "Q4_K_M"}},
        loaded=[{"name": "other:latest", "context_length": 1}, {"name": "mini:latest", "context_length": 4096}],
    )
    assert found == Identity("Ollama", "0.33.0", "mini", "1.7B", "Q4_K_M", 4096)
    assert unreported(found) == []


def test_vllms_api_reports_neither_bits_nor_parameters():
    found = of_openai({"id": "mini", "owned_by": "vllm", "max_model_len": 2048}, {"version": "0.32.0"})
    assert found == Identity("vLLM", "0.32.0", "mini", context=2048)
    assert unreported(found) == ["parameters", "bits"]
    assert "not reported: parameters, bits" in described("bare", found)


def test_another_server_is_called_after_its_api():
    assert of_openai({"id": "mini"}, {}).server == "OpenAI API"


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        ({"bits": "Q4_K_M"}, "bits BF16 and Q4_K_M"),
        ({"parameters": "7.6B"}, "parameters 1.7B and 7.6B"),
        ({"context": 8192}, "context 4096 and 8192"),
    ],
)
def test_differences_are_reported(change, reported):
    assert differences(OURS, replace(OURS, **change)) == [reported]


@pytest.mark.parametrize(
    "change",
    [
        {"server": "Ollama", "version": "0.33.0", "model": "other/name"},  # servers are what is compared
        {"parameters": "1.72B"},  # rounded in another way
        {"parameters": "1700M"},
        {"bits": "bf16"},
        {"bits": ""},
        {"context": None},
    ],
)
def test_what_is_alike_or_unknown_is_no_difference(change):
    assert differences(OURS, replace(OURS, **change)) == []
