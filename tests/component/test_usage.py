"""The usage of the whole service: it outlives what ends the service, and nothing that ails it ends a request."""

from __future__ import annotations

import asyncio
import signal
import sqlite3

from tests.client import Client
from tests.hostile.storm import disk_of, on_a_small_disk
from tests.hostile.test_full_disk import fill
from tests.live import LiveService


async def rows(service: Client, by: str = "model") -> list[dict[str, object]]:
    status, found = await service.get(f"/vllama/usage?by={by}")
    assert status == 200, found
    return found["rows"]


async def test_usage_of_all_dialects_outlives_a_restart_and_is_printed(service: LiveService):
    service.config["prices"] = {"currency": "EUR", "models": {"tinychat": {"input": 100, "output": 200}}}
    service.config["people"] = {"header": "X-Forwarded-User"}
    counted = [0, 0]
    async with service as up:
        headers = {"X-Forwarded-User": "anna"}
        chat = {"model": "tinychat", "messages": [{"role": "user", "content": "count to 3"}], "stream": False}
        async with up.session.post("/api/chat", json=chat, headers=headers) as answer:
            said = await answer.json()
            counted = [counted[0] + said["prompt_eval_count"], counted[1] + said["eval_count"]]
        async with up.session.post("/v1/chat/completions", json=chat, headers=headers) as answer:
            said = (await answer.json())["usage"]
            counted = [counted[0] + said["prompt_tokens"], counted[1] + said["completion_tokens"]]
        async with up.session.post("/v1/messages", json=chat | {"max_tokens": 50}, headers=headers) as answer:
            said = (await answer.json())["usage"]
            cached = said.get("cache_read_input_tokens", 0)
            counted = [counted[0] + said["input_tokens"] + cached, counted[1] + said["output_tokens"]]
    async with service as up:
        (row,) = await rows(up, "person,model")
        assert [row["prompt_tokens"], row["generated_tokens"]] == counted
        assert (row["person"], row["requests"]) == ("anna", 3)
        assert abs(float(str(row["money"])) - (counted[0] * 100 + counted[1] * 200) / 1e6) < 1e-9


async def test_after_a_kill_at_most_the_last_two_seconds_are_missing(service: LiveService):
    async with service as up:
        for _ in range(3):
            await up.chat("count to 3")
        file = service.folder / "state" / "usage.db"
        async with asyncio.timeout(2):  # nothing asks for it to be written
            while written(str(file)) < 3:
                await asyncio.sleep(0.02)
        up.send(signal.SIGKILL)
        await up.wait(10)
    assert written(str(file)) == 3


def written(file: str) -> int:
    try:
        connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT COUNT(*) FROM requests").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return 0


async def test_a_full_disk_is_told_and_holds_up_no_request(service: LiveService):
    on_a_small_disk(service, 1 << 20)
    async with service as up:
        assert (await up.chat("count to 3"))[0] == 200
        assert len(await rows(up)) == 1
        ballast = disk_of(up) / "ballast"
        fill(ballast)
        told: list[str] = []
        async with asyncio.timeout(60):
            while not any("usage can't be recorded" in text for text in told):
                assert (await up.chat("count to 3"))[0] == 200
                told = (await up.get("/vllama/status"))[1]["notices"]
        status, found = await up.get("/vllama/usage")
        assert (status, "can't be recorded" in found["problem"]) == (200, True), "what is recorded can be read"
        ballast.unlink()
        async with asyncio.timeout(20):
            while any("usage" in text for text in told):
                await asyncio.sleep(0.1)
                told = (await up.get("/vllama/status"))[1]["notices"]
        assert len(await rows(up)) == 1
        assert await up.metric("vllama_usage_lost_total") == 0


async def test_a_broken_file_is_put_aside_and_told(service: LiveService):
    (service.folder / "state").mkdir()
    (service.folder / "state" / "usage.db").write_text("no database " * 1000)
    async with service as up:
        assert (await up.chat("count to 3"))[0] == 200
        assert [row["requests"] for row in await rows(up)] == [1]
    assert "was broken; it is kept as usage.db.broken-" in service.log
