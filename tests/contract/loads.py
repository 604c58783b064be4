"""Replays the cases that load and unload models, each file with the server started as it was recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.contract.models import three_models
from tests.contract.replay import GOLDEN, choose, loosen, read_golden, replay
from tests.live import LiveService


@dataclass(frozen=True)
class Profile:
    """A golden file, and what the configuration says for it."""

    file: str
    config: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.file.removesuffix(".jsonl")


PROFILES: Final = (
    Profile("default.jsonl"),
    Profile("queue1.jsonl", {"engine": {"max_loaded": 1, "min_residence": "0s"}, "server": {"max_queue": 1}}),
    Profile("ctx256.jsonl", {"context_length": 256}),
)
_LOADED: Final = ("queue/ps-while-busy",)  # cases before them that load nothing had left the model loaded


async def replay_loads(
    folder: Path, profile: Profile, engine: Mapping[str, Any], *, fake: bool
) -> list[dict[str, Any]]:
    """The results; ``engine`` says which interpreter runs vLLM, ``fake`` that words and vectors mean nothing."""
    header, cases = read_golden(GOLDEN / profile.file)
    cases = [_loaded_first(case) if case["id"] in _LOADED else case for case in choose(cases, load=True)]
    config = {
        **profile.config,
        "server": {"port": 0, **profile.config.get("server", {})},
        "engine": {**engine, **profile.config.get("engine", {})},
        "models": three_models(folder),
    }
    async with LiveService(folder, config) as service:
        return await replay(service.url, header, [loosen(case) for case in cases] if fake else cases)


def _loaded_first(case: dict[str, Any]) -> dict[str, Any]:
    load = {"method": "POST", "path": "/api/generate", "json": {"model": "{CHAT}"}, "rules": {"ignore": True}}
    return {**case, "steps": [load, *case["steps"]], "records": [{}, *case["records"]]}
