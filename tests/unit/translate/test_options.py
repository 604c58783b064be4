from __future__ import annotations

import orjson
import pytest

from vllama.models.parameters import OptionError
from vllama.translate.options import max_tokens, read_options, sampling


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"temperature": "hot"}, 'option "temperature" must be of type float32'),
        ({"temperature": True}, 'option "temperature" must be of type float32'),
        ({"num_ctx": "8k"}, 'option "num_ctx" must be of type integer'),
        ({"top_k": [1]}, 'option "top_k" must be of type integer'),
        ({"use_mmap": 1}, 'option "use_mmap" must be of type boolean'),
        ({"stop": "END"}, 'option "stop" must be of type array'),
        ({"stop": [1]}, 'option "stop" must be of an array of strings'),
    ],
)
def test_a_wrong_type_is_ollamas_500(options, text):
    with pytest.raises(OptionError) as caught:
        read_options(options, {})
    assert (caught.value.http_status, caught.value.message) == (500, text)


def test_ollamas_defaults_are_sent():
    assert sampling(read_options({}, {}), {}) == {"temperature": 0.8, "top_p": 0.9, "top_k": 40, "min_p": 0.0}


def test_request_wins_over_stored_wins_over_default():
    read = read_options({"temperature": 0.1, "top_k": None}, {"temperature": 0.5, "top_k": 7, "top_p": 0.3})
    assert (read.temperature, read.top_k, read.top_p, read.min_p) == (0.1, 7, 0.3, 0.0)


def test_unknown_options_and_nulls_are_ignored():
    assert read_options({"mirostat": "on", "golden": {}, "seed": None}, {}) == read_options({}, {})


def test_integers_truncate():
    assert read_options({"top_k": 40.9, "num_predict": 3.9, "seed": -1.2}, {}).num_predict == 3


def test_a_special_token_stops_by_its_id():
    body = sampling(read_options({"stop": ["<|im_end|>", "END", "<|im_end|>"]}, {}), {"<|im_end|>": 1017})
    assert body["stop"] == ["END"]
    assert body["stop_token_ids"] == [1017]


def test_neutral_values_are_left_out_and_odd_ones_made_legal():
    body = sampling(
        read_options({"top_p": 0, "top_k": -1, "repeat_penalty": 0, "seed": 2**70, "presence_penalty": 0}, {}), {}
    )
    assert body == {"temperature": 0.8, "top_p": 1e-6, "top_k": 0, "min_p": 0.0, "seed": 2**63 - 1}


def test_penalties_are_passed_on_and_a_window_of_nothing_switches_repetition_off():
    asked = {"repeat_penalty": 1.3, "presence_penalty": 1.5, "frequency_penalty": -1}
    assert sampling(read_options(asked, {}), {})["repetition_penalty"] == 1.3
    assert "repetition_penalty" not in sampling(read_options({**asked, "repeat_last_n": 0}, {}), {})


@pytest.mark.parametrize(
    ("option", "asked", "sent"),
    [
        ("temperature", 5, 2.0),
        ("temperature", -1, 0.0),
        ("temperature", float("nan"), 0.8),
        ("top_p", 2, 1.0),
        ("top_p", -1, 1e-6),
        ("min_p", 2, 1.0),
        ("min_p", -1, 0.0),
        ("top_k", -7, 0),
        ("presence_penalty", 9, 2.0),
        ("frequency_penalty", -9, -2.0),
        ("repeat_penalty", float("inf"), 100.0),
        ("repeat_penalty", 1e-300, 0.01),
        ("repeat_penalty", -1, None),
        ("stop", [""], None),
        ("stop", ["", "END"], ["END"]),
        ("seed", -5, None),
    ],
)
def test_what_vllm_would_refuse_is_the_nearest_that_it_takes(option, asked, sent):
    name = {"repeat_penalty": "repetition_penalty"}.get(option, option)
    assert sampling(read_options({option: asked}, {}), {}).get(name) == sent


@pytest.mark.parametrize(("asked", "sent"), [(-1, 2048), (-2, 2048), (0, 2048), (5, 5), (10**9, 2048)])
def test_the_token_limit_is_always_said_and_fits_the_context(asked, sent):
    assert max_tokens(read_options({"num_predict": asked}, {}), 2048) == sent


@pytest.mark.parametrize("name", ["top_k", "num_predict", "num_ctx", "num_keep", "repeat_last_n", "seed"])
@pytest.mark.parametrize("value", [1e308, -1e308, 2**63, 2**64])
def test_integers_beyond_64_bits_are_the_largest_there_are(name, value):
    read = read_options({name: value}, {})
    assert getattr(read, name) == (2**63 - 1 if value > 0 else 1 - 2**63)
    assert orjson.dumps(sampling(read, {}) | {"max_tokens": max_tokens(read, 4096)})


def test_a_top_k_above_every_vocabulary_fits_vllms_32_bits():
    assert sampling(read_options({"top_k": 1e308}, {}), {})["top_k"] == 2**31 - 1
