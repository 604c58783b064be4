"""Values of ``/set parameter``."""

from __future__ import annotations

from typing import Any

import pytest

from vllama.cli.chat.parameters import PARAMETERS, read_parameter
from vllama.errors import BadRequest
from vllama.translate.options import read_options


@pytest.mark.parametrize(
    ("name", "words", "value"),
    [
        ("temperature", ["0.2"], 0.2),
        ("num_predict", ["-1"], -1),
        ("use_mmap", ["True"], True),
        ("stop", ['"END"', "<|x|>"], ["END", "<|x|>"]),
    ],
)
def test_words_are_read_by_the_options_type(name: str, words: list[str], value: Any) -> None:
    assert read_parameter(name, words) == value


@pytest.mark.parametrize(
    ("name", "words", "complaint"),
    [
        ("temperature", ["hot"], "temperature must be a float, not 'hot'"),
        ("seed", ["4.5"], "seed must be an integer, not '4.5'"),
        ("use_mmap", ["maybe"], "use_mmap must be a boolean, not 'maybe'"),
        ("warmth", ["1"], "unknown parameter 'warmth'"),
    ],
)
def test_what_cannot_be_read_is_reported(name: str, words: list[str], complaint: str) -> None:
    with pytest.raises(BadRequest, match=complaint.replace("(", r"\(")):
        read_parameter(name, words)


def test_the_service_takes_every_parameter_in_the_type_that_was_read() -> None:
    words = {"float": "0.5", "integer": "3", "boolean": "true", "list": "END"}
    read_options({name: read_parameter(name, [words[kind]]) for name, kind in PARAMETERS.items()}, {})
