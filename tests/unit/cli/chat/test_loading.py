from __future__ import annotations

from typing import Any

import pytest

from vllama.cli.chat.loading import stage_of


def engine(name: str = "mini:latest", **more: Any) -> dict[str, Any]:
    return {"name": name, "phase": "starting", "stage": "loading weights 62 %", "waiting": 1, **more}


@pytest.mark.parametrize(
    ("engines", "stage"),
    [
        ([], ""),
        ([engine()], "loading weights 62 %"),
        ([engine("other:latest"), engine(stage="compiling")], "compiling"),
        ([engine("base:latest")], "loading weights 62 %"),  # a model that was made of base waits for its engine
        ([engine("base:latest"), engine("other:latest")], ""),  # which of them can't be told
        ([engine("base:latest", waiting=0)], ""),
        ([engine(phase="ready", stage="")], ""),
        ([engine(phase="absent", stage="waiting for room", cause="too big")], "waiting for room"),
        ([engine(phase="backoff", stage="pause of 2 s", cause="it crashed")], "pause of 2 s: it crashed"),
        ([engine(stage="\x1b[2Jweights")], "[2Jweights"),
        ([{}], ""),
    ],
)
def test_what_a_load_is_doing(engines: list[dict[str, Any]], stage: str):
    assert stage_of(engines, "mini") == stage
