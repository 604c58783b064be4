"""Triton's key is not computed where torch is made for CPUs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from vllama_engine import triton_key
from vllama_engine.changing import Unfit


def codecache(cuda: str | None = None, hip: str | None = None) -> Any:
    return SimpleNamespace(torch=SimpleNamespace(version=SimpleNamespace(cuda=cuda, hip=hip)), triton_key=lambda: "key")


@pytest.mark.parametrize("build", [{"cuda": "13.0"}, {"hip": "7.0"}])
def test_on_a_gpu_the_key_stays(build: Any) -> None:
    module = codecache(**build)
    triton_key.apply(module)
    assert module.triton_key() == "key"


def test_a_torch_that_uses_it_in_another_way_is_left_alone() -> None:
    with pytest.raises(Unfit):
        triton_key.apply(codecache())  # no torch is installed here, so its source is not what the change expects
    with pytest.raises(Unfit):
        triton_key.apply(SimpleNamespace())  # type: ignore[arg-type]
