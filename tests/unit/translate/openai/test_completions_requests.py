from __future__ import annotations

import json

import pytest

from vllama.errors import BadRequest
from vllama.translate.openai.completions_requests import read_completion, read_embedding


def refused(read, **fields: object) -> str:
    with pytest.raises(BadRequest) as caught:
        read(json.dumps({"model": "m"} | fields).encode())
    return caught.value.message


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ((1, 2),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
)
def test_a_prompt_is_a_text_or_tokens_or_a_list_of_them(prompt, prompts):
    assert read_completion(json.dumps({"model": "m", "prompt": prompt}).encode()).prompts == prompts


@pytest.mark.parametrize(
    ("prompt", "kind"),
    [
        (5, "a number"),
        ({}, "an object"),
        (["a", 1], "a list"),
        ([-1], "a list"),
        ([[1], []], "a list"),
        ([True], "a list"),
    ],
)
def test_other_prompts_are_refused(prompt, kind):
    text = f"prompt: expected a text, a list of texts, or tokens, got {kind}"
    assert refused(read_completion, prompt=prompt) == text


def test_prompts_and_choices_have_a_bound():
    assert refused(read_completion, prompt=["a"] * 65, n=2) == "the request wants 130 answers; at most 128 are accepted"


def test_a_temperature_is_a_number():
    text = "temperature: expected a number, got a string"
    assert refused(read_completion, temperature="0") == text


def test_options_have_openais_defaults():
    request = read_completion(b'{"model": "m", "prompt": "x", "top_p": 0, "max_tokens": 3, "stop": " 6"}')
    assert request.options == {
        "temperature": 1.0,
        "top_p": 1.0,
        "num_predict": 3,
        "stop": [" 6"],
        "frequency_penalty": 0.0,
        "presence_penalty": 0.0,
    }


def test_a_stop_that_is_no_text_is_refused():
    assert refused(read_completion, stop=[5]) == "invalid type for 'stop' field: float64"


def test_logprobs_and_n_are_honoured():
    request = read_completion(b'{"prompt": "x", "logprobs": 2, "n": 3}')
    assert (request.logprobs, request.choices) == (2, 3)
    assert read_completion(b'{"prompt": "x"}').logprobs is None


@pytest.mark.parametrize("given", [None, []])
def test_embeddings_need_an_input(given):
    assert refused(read_embedding, input=given) == "invalid input"


def test_encodings_are_float_or_base64_in_any_case():
    assert read_embedding(b'{"input": "x", "encoding_format": "BASE64"}').base64
    assert not read_embedding(b'{"input": "x", "encoding_format": ""}').base64
    assert refused(read_embedding, input="x", encoding_format="hex") == (
        "Invalid value for 'encoding_format' = hex. Supported values: ['float', 'base64']."
    )


def test_an_empty_body_is_missing():
    for read in (read_completion, read_embedding):
        with pytest.raises(BadRequest, match="missing request body"):
            read(b" ")
