"""Ollama's variables that set no key are named with what there is in their place."""

from __future__ import annotations

import re
from pathlib import Path

from vllama.config.variables import VARIABLES, unheeded

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_each_variable_without_effect_that_is_set_is_named_once():
    environ = {
        "OLLAMA_MODELS": "/m",
        "OLLAMA_NUM_PARALLEL": "4",
        "OLLAMA_HOST": ":1",
        "OLLAMA_VULKAN": " ",
        "PATH": "/",
    }
    assert [text.partition(":")[0] for text in unheeded(environ)] == [
        "OLLAMA_MODELS has no effect",
        "OLLAMA_NUM_PARALLEL has no effect",
    ]


def test_the_page_has_every_variable_of_ollama_that_means_something_or_nothing():
    named = set(re.findall(r"OLLAMA_[A-Z_]+", PAGE.read_text()))
    ours = {variable.name for variable in VARIABLES if variable.name.startswith("OLLAMA_")}
    idle = {text.split()[0] for text in unheeded(dict.fromkeys(named, "1"))}
    assert named == ours | idle | {"OLLAMA_NOHISTORY"}
