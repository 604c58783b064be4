"""Engines share the machine's memory: the next one makes room, too big is refused, too bold is tried with less."""

from __future__ import annotations

from pathlib import Path

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from vllama.fit.gpu import detect


def config(folder: Path, **caches: int | str) -> dict[str, object]:
    """Models by name, each with a KV cache of that size."""
    models = {
        name: {"source": str(scripted(folder, name)), "settings": {"kv_cache_memory": size}}
        for name, size in caches.items()
    }
    engine = {"python": str(interpreter.write(folder)), "min_residence": "0s", "restart_backoff": "50ms"}
    return {"engine": engine, "models": models, "log": {"level": "debug"}}


async def loaded(service: LiveService) -> set[str]:
    _, answer = await service.get("/api/ps")
    return {one["name"].removesuffix(":latest") for one in answer["models"]}


async def test_a_model_that_does_not_fit_next_to_another_takes_its_place(folder: Path):
    half = int(detect().ram_available * 0.55)
    async with LiveService(folder, config(folder, first=half, second=half, small="64MiB")) as up:
        for name in ("small", "first", "second"):
            status, answer = await up.chat("count to 3", model=name, stream=False)
            assert status == 200, f"{answer}\n{up.log}"
        assert await loaded(up) == {"second"} or await loaded(up) == {"small", "second"}
        assert (await up.chat("count to 3", model="first", stream=False))[0] == 200
        assert "second" not in await loaded(up)


async def test_a_model_that_is_too_big_for_the_machine_is_refused_before_anything_starts(folder: Path):
    async with LiveService(folder, config(folder, huge="4096GiB", small="64MiB")) as up:
        assert (await up.chat("hello", model="small"))[0] == 200
        status, answer = await up.chat("hello", model="huge")
        assert status == 500
        assert answer["error"].startswith("model requires more system memory (409")
        assert await loaded(up) == {"small"}


async def test_after_running_out_of_memory_three_gentler_plans_are_tried_and_then_the_cause_is_reported(folder: Path):
    settings = config(folder, bold="1GiB")
    settings["models"] = {"bold": {"source": str(scripted(folder, "oom", start_failure="kv_too_large"))}}
    async with LiveService(folder, settings) as up:
        status, answer = await up.chat("hello", model="bold")
        assert status == 500
        assert "does not fit into memory" in answer["error"]
        for number in (1, 2, 3):
            assert f"a gentler plan, number {number}," in up.log
        assert "number 4" not in up.log


async def test_memory_that_others_take_between_the_plan_and_the_start_makes_a_smaller_engine(folder: Path):
    settings = config(folder)
    left = 3 << 30
    settings["models"] = {
        "mini": {
            "source": str(scripted(folder, "mini", memory_left=left)),
            "settings": {"kv_cache_memory": left * 4 // 3},
        }
    }
    async with LiveService(folder, settings) as up:
        assert (await up.chat("count to 3", model="mini", stream=False))[0] == 200, up.log
        assert up.log.count("a gentler plan, number") == 1
        _, answer = await up.get("/api/ps")
        assert left < answer["models"][0]["size"] < left * 4 // 3 + (2 << 30)
