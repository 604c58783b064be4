"""An engine that can't start: the waiting client is told why and what to do, and hopeless starts are not repeated."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import rescript, scripted
from tests.live import LiveService

# failure of the fake engine -> what the client must be able to read
CAUSES = {
    "no_config": "config.json",
    "no_weights": "weights",
    "truncated_weights": "incomplete",
    "architecture": "FooBarForCausalLM",
    "model_type": "foobar",
    "no_tokenizer": "tokenizer",
    "quantization": "bitsandbytes",
    "context_too_long": "8192",
    "kv_too_large": "KV cache",
    "kv_too_small": "384",
    "gpu_busy": "memory",
    "gpu_out_of_memory": "memory",
    "gated": "gated",
    "hub_unreachable": "reach",
    "tool_parser": "nosuch",
    "reasoning_parser": "nosuch",
    "parser_tokenizer": "mistral",
    "sleep_mode": "leep mode",
    "shapes": "do not match",
    "numa_nodes": "NUMA",
    "no_device": "device",
    "port": "in use",
}


async def test_each_cause_is_reported_to_the_waiting_client(folder: Path):
    models = {cause: {"source": str(scripted(folder, cause, start_failure=cause))} for cause in CAUSES}
    names = {cause: cause.replace("_", "-") for cause in CAUSES}
    config = {
        "engine": {"python": str(interpreter.write(folder)), "restart_backoff": "50ms", "parallel_starts": 4},
        "models": {names[cause]: entry for cause, entry in models.items()},
    }
    async with LiveService(folder, config) as up:
        answers = await asyncio.gather(*(up.chat("hello", model=names[cause]) for cause in CAUSES))
    wrong = [
        (cause, status, answer)
        for (cause, words), (status, answer) in zip(CAUSES.items(), answers, strict=True)
        if status < 500 or words not in answer["error"]
    ]
    assert not wrong, "\n".join(map(str, wrong))


async def test_a_start_that_cannot_succeed_is_not_repeated(service: LiveService):
    rescript(service.folder / "tinychat", start_failure="architecture")
    async with service as up:
        for _ in range(2):
            status, answer = await up.chat("hello")
            assert status == 500
            assert "FooBarForCausalLM" in answer["error"]
        assert await up.metric("vllama_engine_state", model="tinychat:latest", state="broken") == 1
        assert await up.metric("vllama_engine_crashes_total", model="tinychat:latest") == 1


async def test_a_repaired_model_is_served_by_the_next_request(service: LiveService):
    service.config["engine"]["breaker_cooloff"] = "100ms"
    rescript(service.folder / "tinychat", start_failure="no_weights")
    async with service as up:
        status, answer = await up.chat("hello")
        assert status == 500, answer
        rescript(service.folder / "tinychat")
        async with asyncio.timeout(20):
            while status != 200:
                status, answer = await up.chat("count to 3", stream=False)
        assert answer["message"]["content"] == "1, 2, 3"


async def test_a_start_that_stalls_is_given_up(service: LiveService):
    service.config["engine"] |= {"stall_timeout": "1s"}
    rescript(service.folder / "tinychat", start_stall=True)
    async with service as up:
        status, answer = await up.chat("hello")
        assert status == 500
        assert "progress" in answer["error"]


async def test_an_engine_that_is_healthy_but_cannot_answer_is_not_called_ready(service: LiveService):
    rescript(service.folder / "tinychat", failing_warmup="kernel launch failed")
    async with service as up:
        status, answer = await up.chat("hello")
        assert status == 500
        assert "kernel launch failed" in answer["error"]


async def test_the_cause_is_in_the_log(service: LiveService):
    rescript(service.folder / "tinychat", start_failure="truncated_weights")
    async with service as up:
        await up.chat("hello")
        assert "incomplete" in up.log


async def test_no_engine_installed_is_reported_with_the_command(folder: Path):
    config = {"engine": {"prefix": str(folder / "none")}, "models": {"tinychat": {"source": "builtin:tinychat"}}}
    async with LiveService(folder, config) as up:
        status, answer = await up.chat("hello")
        assert status == 503
        assert "vllama engine install" in answer["error"]


async def test_a_broken_model_directory_is_reported(service: LiveService):
    broken = service.folder / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{}")
    service.config["models"]["broken"] = {"source": str(broken)}
    async with service as up:
        status, answer = await up.chat("hello", model="broken")
        assert status >= 400
        assert "broken" in answer["error"]
        assert (await up.chat("hello"))[0] == 200


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"serverr": {}}, "serverr"),
        ({"server": {"port": "many"}}, "server.port"),
        ({"keep_alive": "5 parsecs"}, "keep_alive"),
        ({"models": {"x": {"source": "builtin:tinychat", "profile": "huge"}}}, "profile"),
    ],
)
async def test_a_wrong_configuration_ends_the_start_with_78(folder: Path, config, words):
    service = LiveService(folder, config)
    with pytest.raises(AssertionError, match=words):
        service.start()
    assert await service.wait(5) == 78


async def test_a_taken_port_is_reported_with_its_owner(service: LiveService, folder: Path):
    async with service as up:
        port = int(up.url.rpartition(":")[2])
        second = folder / "second"
        second.mkdir()
        other = LiveService(second, {"server": {"port": port}})
        with pytest.raises(AssertionError, match="is in use by"):
            other.start()
        assert await other.wait(5) == 1
