"""What happens to the service itself: it leaves in time, answers are finished, nothing of it stays behind."""

from __future__ import annotations

import asyncio
import os
import pty
import signal

import psutil
import pytest
import yaml

from tests.client import Client, text_of
from tests.component.conftest import engine_of
from tests.component.test_dialects import ROUTES
from tests.fakes.model_dir import rescript
from tests.fault.test_engine_faults import within
from tests.live import LiveService
from tests.processes import until_gone


async def test_sigterm_lets_running_answers_finish_and_leaves_nothing_within_10_s(service: LiveService):
    async with service as up:
        engine = await engine_of(up)
        await engine.script(token_rate=50)
        stream = asyncio.create_task(up.chat("count to 50"))
        await engine.until(running=1)
        pids = [process.pid for process in up.family()]
        with within(10):
            up.send(signal.SIGTERM)
            _, lines = await stream
            assert await up.wait(10) == 0
        assert text_of(lines).endswith("49, 50")
        await until_gone(pids, 1)


async def test_sigterm_cuts_answers_that_outlast_the_drain_time_with_an_error_line(service: LiveService):
    service.config["engine"]["drain_timeout"] = "1s"
    async with service as up:
        engine = await engine_of(up)
        await engine.script(token_rate=20)
        stream = asyncio.create_task(up.chat("count to 900"))
        await engine.until(running=1)
        pids = [process.pid for process in up.family()]
        with within(15):
            up.send(signal.SIGTERM)
            _, lines = await stream
            assert lines[-1] == {"error": "the server is shutting down"}
            assert await up.wait(15) == 0
        await until_gone(pids, 1)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_request_that_a_stop_cuts_is_told_so_in_every_dialect(service: LiveService, *, stream: bool):
    service.config["engine"]["drain_timeout"] = "300ms"
    async with service as up, Client(up.url) as client:
        engine = await engine_of(up)
        await engine.script(token_rate=20)
        chats = [(path, body | {"stream": stream}) for path, body in ROUTES]
        native = {"model": "tinychat", "prompt": "count to 900", "stream": stream}
        asked = [*chats, ("/api/generate", native)]

        async def ask(path: str, body: dict[str, object]) -> bytes:
            async with client.session.post(path, json=body) as answer:
                return await answer.read()

        answers = asyncio.gather(*(ask(path, body) for path, body in asked))
        await engine.until(running=len(asked))
        up.send(signal.SIGTERM)
        for (path, _), raw in zip(asked, await answers, strict=True):
            assert b"the server is shutting down" in raw, path
            assert b"an error was encountered" not in raw, path


async def test_sigterm_while_an_engine_starts_and_swallows_it_leaves_nothing_within_10_s(service: LiveService):
    rescript(service.folder / "tinychat", start_seconds=60, swallow_sigterm=True)
    async with service as up:
        asking = asyncio.create_task(up.chat("hello"))
        await up.until_metric("vllama_engine_state", 1, model="tinychat:latest", state="starting")
        pids = [process.pid for process in up.family()]
        assert pids
        with within(10):
            up.send(signal.SIGTERM)
            assert await up.wait(10) == 0
        await until_gone(pids, 1)
        await asyncio.gather(asking, return_exceptions=True)


async def test_sigterm_when_an_engine_hangs_leaves_nothing_within_30_s(service: LiveService):
    service.config["engine"] |= {"drain_timeout": "1s", "hang_timeout": "10m"}
    async with service as up:
        engine = await engine_of(up)
        await engine.script(trouble="hang", after_tokens=10, ignore_sigterm=True)
        stream = asyncio.create_task(up.chat("count to 50"))
        await engine.until(hung=True)
        pids = [process.pid for process in up.family()]
        with within(30):
            up.send(signal.SIGTERM)
            assert await up.wait(30) == 0
        await asyncio.gather(stream, return_exceptions=True)
        await until_gone(pids, 1)


async def test_what_a_killed_service_left_is_ended_by_the_next_start(service: LiveService):
    service.start()
    await engine_of(service)
    pids = [process.pid for process in service.family()]
    os.kill(service.pid, signal.SIGKILL)
    await service.wait(5)
    assert any(psutil.pid_exists(pid) for pid in pids), "the premise: engines outlive a killed service"
    async with service as up:
        await until_gone(pids, 5)
        assert (await up.chat("hello"))[0] == 200


async def test_two_services_on_one_runtime_directory_do_not_meet(service: LiveService):
    async with service as up:
        second = LiveService(service.folder, service.config)
        second.log_file = service.folder / "second.log"
        port = up.url.rpartition(":")[2]
        with pytest.raises(AssertionError, match=rf"another vllama \(pid {up.pid}, port {port}\) is already running"):
            second.start()
        assert await second.wait(5) == 1
        assert (await up.chat("hello"))[0] == 200


async def test_a_service_whose_terminal_has_gone_goes_on_and_ends_on_request(service: LiveService):
    service.wrapper = ("bash", "-c", 'exec "$0" "$@" 2> >(sed -u "/listens on/q")')
    async with service as up:
        assert (await up.chat("hello"))[0] == 200
        service.send(signal.SIGTERM)
        assert await up.wait(20) == 0


async def test_a_second_ctrl_c_during_running_answers_ends_all_at_once(service: LiveService):
    service.config["engine"]["drain_timeout"] = "10m"
    service.config["log"] = {"level": "debug"}
    async with service as up:
        engine = await engine_of(up)
        await engine.script(token_rate=5)
        stream = asyncio.create_task(up.chat("count to 900"))
        await engine.until(running=1)
        pids = [process.pid for process in up.family()]
        up.send(signal.SIGINT)
        async with asyncio.timeout(20):
            while "running answers may continue" not in up.log:
                await asyncio.sleep(0.02)
        with within(5):
            up.send(signal.SIGINT)
            assert await up.wait(5) == 0
        await asyncio.gather(stream, return_exceptions=True)
        await until_gone(pids, 1)


async def test_sighup_reloads_a_service_that_no_terminal_started(service: LiveService):
    async with service as up:
        add_third(service)
        up.send(signal.SIGHUP)
        await listed(up, "third:latest")


async def test_a_closed_terminal_ends_what_was_started_in_it(service: LiveService):
    terminal, name = pty.openpty()
    service.wrapper = ("bash", "-c", f'exec 3<>{os.ttyname(name)}; exec "$0" "$@"')
    async with service as up:
        os.close(name)
        os.close(terminal)
        assert await up.wait(20) == 0


async def test_a_closed_terminal_does_not_end_what_was_to_outlive_it_and_sighup_reloads_from_then_on(
    service: LiveService,
):
    terminal, name = pty.openpty()
    service.wrapper = ("bash", "-c", f'trap \'\' HUP; exec 3<>{os.ttyname(name)}; exec "$0" "$@"')
    async with service as up:
        os.close(name)
        os.close(terminal)
        assert (await up.chat("hello"))[0] == 200
        add_third(service)
        up.send(signal.SIGHUP)
        await listed(up, "third:latest")


def add_third(service: LiveService) -> None:
    """To the configuration file of a service that runs."""
    file = service.folder / "vllama.yaml"
    config = yaml.safe_load(file.read_text())
    config["models"]["third"] = config["models"]["other"]
    file.write_text(yaml.safe_dump(config))


async def listed(up: LiveService, name: str) -> None:
    async with asyncio.timeout(20):
        while name not in {model["name"] for model in (await up.get("/api/tags"))[1]["models"]}:
            await asyncio.sleep(0.02)
