"""A real Prometheus scrapes the service while it answers: every shipped query finds something."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from tests.prometheus import (
    Prometheus,
    dashboard_queries,
    machine_with_gpu,
    shipped_levels,
    shipped_rules,
    under_load,
    until_all_found,
)
from vllama.config.schema import Config
from vllama.observe.slo import objectives
from vllama.observe.slo_rules import rules_text

SLOS = {"chat": {"models": ["tinychat"], "ttft": "1s at 95 %", "success": "99 %"}}


async def chat_on(service: LiveService, model: str) -> None:
    """One answer after the other."""
    while True:
        status, _ = await service.chat("hello", model=model)
        assert status == 200


@pytest.fixture
def other_machine() -> Iterator[str]:
    """Where a machine with a GPU is scraped: this one may have none."""
    with machine_with_gpu() as target:
        yield target


async def test_every_query_of_the_dashboard_and_the_rules_finds_something_under_load(folder: Path, other_machine: str):
    models = {name: {"source": str(scripted(folder, name))} for name in ("tinychat", "other")}
    engine = {"python": str(interpreter.write(folder))}
    slo_rules = folder / "slo.yml"
    slo_rules.write_text(rules_text(objectives(Config.model_validate({"slos": SLOS}).slos)))
    async with LiveService(folder, {"engine": engine, "models": models, "slos": SLOS}) as service:
        target = service.url.removeprefix("http://")
        load = [chat_on(service, model) for model in ("tinychat", "other", "tinychat")]
        async with (
            Prometheus(folder, [target, other_machine], [*shipped_rules(), slo_rules]) as prometheus,
            under_load(*load),
        ):
            await until_all_found(prometheus, dashboard_queries())
            here = dashboard_queries(target.replace(".", r"\\."), "tinychat:latest")
            measured = re.compile("gpu|joules|watts")
            here = {name: query for name, query in here.items() if not measured.search(query)}
            await until_all_found(prometheus, here)
            await until_all_found(prometheus, shipped_levels())
            rules = await prometheus.rules()
            recorded = {rule["name"]: rule["name"] for rule in rules if rule["type"] == "recording"}
            assert any(name.startswith("slo:") for name in recorded)
            await until_all_found(prometheus, recorded)
            assert {rule["health"] for rule in await prometheus.rules()} == {"ok"}
            assert [rule["name"] for rule in rules if rule.get("state") == "firing"] == []
