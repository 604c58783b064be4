"""Three models in memory for two, over fake engines: who stays, who goes, and how often (tests/engine has the real)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted
from tests.live import LiveService
from tests.processes import until_gone

MODELS = ("first", "second", "third")


def live(folder: Path, *, pinned: str = "", residence: str = "200ms", **more: Any) -> LiveService:
    """An engine takes some 1.3 GiB by its plan, whatever the fake really takes."""
    models = {
        name: {"source": str(scripted(folder, name)), "settings": {"kv_cache_memory": "64MiB"}, "pin": name == pinned}
        for name in MODELS
    }
    for name in MODELS:
        (folder / name / "fake.json").write_text('{"start_seconds": 0.2}')
    engine = {"python": str(interpreter.write(folder)), "max_ram": "3GiB", "min_residence": residence}
    return LiveService(folder, {"engine": engine, "models": models, **more})


async def answered(up: LiveService, model: str, **more: Any) -> None:
    status, answer = await up.chat("count to 3", model=model, stream=False, **more)
    assert status == 200, f"{answer}\n{up.log}"


async def loaded(up: LiveService) -> set[str]:
    _, answer = await up.get("/api/ps")
    return {one["name"].removesuffix(":latest") for one in answer["models"]}


async def test_the_least_recently_used_model_makes_room_and_the_log_says_so(folder: Path):
    async with live(folder, residence="0s", log={"level": "debug"}) as up:
        for model in ("first", "second", "first", "third"):
            await answered(up, model)
        assert await loaded(up) == {"first", "third"}
        said = ("third:latest: loading", "second:latest: stopping", "third:latest: ready after")
        places = [up.log.index(text) for text in said]
        assert places == sorted(places)


async def test_twenty_clients_alternate_between_two_models_with_room_for_one(folder: Path):
    turns = 4

    async def alternate(number: int) -> None:
        for turn in range(turns):
            await answered(up, MODELS[(number + turn) % 2])

    async with live(folder, pinned="third") as up:
        await answered(up, "third")
        await asyncio.gather(*(alternate(number) for number in range(20)))
        swaps = await up.metric("vllama_load_seconds_count") - 2
        assert 0 < swaps <= 2 * turns, f"{swaps} loads for {turns} turns of each client\n{up.log}"
        assert "third" in await loaded(up)


async def test_two_models_that_fit_are_never_swapped(folder: Path):
    async with live(folder) as up:
        for _ in range(3):
            await asyncio.gather(*(answered(up, MODELS[number % 2]) for number in range(20)))
        assert await up.metric("vllama_load_seconds_count") == 2


def starting_together(folder: Path, backend: str = "cpu") -> LiveService:
    """Two may start at the same time, and there is room for two of the three."""
    up = live(folder)
    up.config["engine"] |= {"python": str(interpreter.write(folder, backend)), "parallel_starts": 2}
    for name in MODELS:
        (folder / name / "fake.json").write_text('{"start_seconds": 1.0}')
    return up


async def most_at_once(up: LiveService, *models: str) -> int:
    """Ask all of these models at the same moment: how many engines were seen starting at once."""
    asked, most = asyncio.gather(*(answered(up, model) for model in models)), 0
    while not asked.done():
        _, answer = await up.get("/vllama/engines")
        most = max(most, sum(engine["phase"] == "starting" for engine in answer["engines"]))
        await asyncio.sleep(0.02)
    await asked
    return most


async def test_two_models_that_fit_start_at_the_same_time(folder: Path):
    async with starting_together(folder) as up:
        assert await most_at_once(up, "first", "second") == 2


async def test_on_gpus_that_report_nothing_models_start_one_after_the_other(folder: Path):
    async with starting_together(folder, "cuda") as up:
        assert await most_at_once(up, "first", "second") == 1


async def test_one_that_finds_no_room_next_to_those_that_start_is_loaded_after_them(folder: Path):
    async with starting_together(folder) as up:
        assert await most_at_once(up, *MODELS) == 2
        assert len(await loaded(up)) == 2
        assert await up.metric("vllama_load_seconds_count") == 3


async def test_a_model_stays_as_long_as_its_last_request_says(folder: Path):
    async with live(folder) as up:
        await answered(up, "first", keep_alive=-1)
        await answered(up, "second", keep_alive="1s")
        (first,) = up.runtime.glob("first-*.pid")
        (second,) = up.runtime.glob("second-*.pid")
        pids = [int(file.read_text().split()[0]) for file in (first, second)]
        await until_gone(pids[1:], 10)
        assert await loaded(up) == {"first"}
        await answered(up, "first", keep_alive=0)
        await until_gone(pids, 10)
        assert await loaded(up) == set()
