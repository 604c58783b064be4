"""A real Prometheus and promtool (the distribution's package), for tests."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Self

import aiohttp
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from tests.hostile.proxies import free_port
from vllama.caller import NOBODY
from vllama.observe.energy import Energy
from vllama.observe.joules import Counter, Reading
from vllama.observe.machine import EngineUse, Machine
from vllama.observe.machine_watch import MachineWatch
from vllama.observe.nvml import GpuUse
from vllama.observe.spent import Spent

MONITORING: Final = Path(__file__).parents[1] / "packaging" / "monitoring"
_UP_WITHIN: Final = 30


def program(name: str) -> str:
    """Where ``prometheus`` or ``promtool`` is."""
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: apt install prometheus (tests/system/prepare.sh programs does it)"
    return found


def promtool(*arguments: str) -> str:
    """What promtool printed; AssertionError if it found something wrong."""
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """``async with Prometheus(folder, targets, rules) as prometheus``: scrapes each ``HOST:PORT`` every second."""

    def __init__(self, folder: Path, targets: Sequence[str], rules: Sequence[Path]) -> None:
        self._folder = folder
        self._url = f"http://127.0.0.1:{free_port()}"
        self._config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(file) for file in rules],
            "scrape_configs": [{"job_name": "vllama", "static_configs": [{"targets": [*targets]}]}],
        }

    def _start(self) -> Path:
        """Returns the file of its log."""
        file = self._folder / "prometheus.yml"
        file.write_text(yaml.safe_dump(self._config))
        promtool("check", "config", str(file))
        log = self._folder / "prometheus.log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [
                    program("prometheus"),
                    f"--config.file={file}",
                    f"--storage.tsdb.path={self._folder / 'tsdb'}",
                    f"--web.listen-address={self._url.removeprefix('http://')}",
                ],
                stdout=output,
                stderr=output,
            )
        return log

    async def __aenter__(self) -> Self:
        log = await asyncio.to_thread(self._start)
        self._session = aiohttp.ClientSession()
        try:
            async with asyncio.timeout(_UP_WITHIN):
                while not await self._is_ready():
                    assert self._process.poll() is None, log.read_text()
                    await asyncio.sleep(0.05)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()
        self._process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self._process.wait, 30)

    async def query(self, expression: str) -> list[dict[str, Any]]:
        """The result of an instant query; AssertionError where it does not parse."""
        data = await self._get("/api/v1/query", {"query": expression})
        found: list[dict[str, Any]] = data["result"]
        return found

    async def rules(self) -> list[dict[str, Any]]:
        """All rules, with their health and alerts."""
        data = await self._get("/api/v1/rules", {})
        return [rule for group in data["groups"] for rule in group["rules"]]

    async def until(self, expression: str, within: float = 60) -> list[dict[str, Any]]:
        """The result of a query, once it has one."""
        async with asyncio.timeout(within):
            while not (found := await self.query(expression)):
                await asyncio.sleep(0.2)
        return found

    async def _get(self, path: str, parameters: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self._url}{path}?{urllib.parse.urlencode(parameters)}"
        async with self._session.get(url) as answer:
            found = json.loads(await answer.text())
        assert found["status"] == "success", f"{parameters}: {found.get('error')}"
        data: dict[str, Any] = found["data"]
        return data

    async def _is_ready(self) -> bool:
        try:
            async with self._session.get(f"{self._url}/-/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False


def dashboard_queries(instance: str = ".*", model: str = ".*") -> dict[str, str]:
    """Every query of the dashboard by its panel, with the variables as Grafana fills them in."""
    made = json.loads((MONITORING / "grafana" / "vllama.json").read_text())
    values = {"instance": instance, "model": model, "__rate_interval": "10s", "__range": "10s"}
    found = {
        f"{panel['title']} {target['refId']}": re.sub(r"\$(\w+)", lambda name: values[name[1]], target["expr"])
        for panel in made["panels"]
        for target in panel.get("targets", ())
    }
    for variable in made["templating"]["list"]:
        if variable["type"] == "query":
            selector = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"])
            assert selector is not None
            text = re.sub(r"\$(\w+)", lambda name: values[name[1]], selector[1])
            found[f"variable {variable['name']}"] = f"count by ({selector[2]}) ({text})"
    return found


def shipped_rules() -> list[Path]:
    """The files with rules that the package installs."""
    return sorted((MONITORING / "prometheus").glob("vllama-*.yml"))


def shipped_levels() -> dict[str, str]:
    """By the name of each shipped rule the query that must find something: what it records, what an alert looks at."""
    spec = importlib.util.spec_from_file_location("monitoring_rules", MONITORING / "rules.py")
    assert spec is not None
    assert spec.loader is not None
    rules = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = rules  # dataclasses look it up
    spec.loader.exec_module(rules)
    return {one.name: one.name for one in rules.RECORDINGS} | {one.name: one.level for one in rules.ALERTS}


async def until_all_found(prometheus: Prometheus, queries: Mapping[str, str], within: float = 90) -> None:
    """Wait until every query has found a number; AssertionError names those that don't."""
    missing = dict(queries)
    deadline = time.monotonic() + within
    while missing:
        for name, query in tuple(missing.items()):
            if any(sample["value"][1] != "NaN" for sample in await prometheus.query(query)):
                del missing[name]
        assert time.monotonic() < deadline, f"found nothing: {json.dumps(missing, indent=1)}"
        await asyncio.sleep(0.3)


@asynccontextmanager
async def under_load(*load: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run these, which never end by themselves, while the block runs; what one of them raises is raised here."""
    tasks = [asyncio.create_task(one) for one in load]
    try:
        yield
    finally:
        ended = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()


@contextmanager
def machine_with_gpu() -> Iterator[str]:
    """``HOST:PORT`` of the metrics of a machine with a GPU on which an engine runs, and whose energy is measured."""
    gib = 1 << 30
    gpu = GpuUse(0, "NVIDIA H200", 141 * gib, 80 * gib, 61 * gib, 0.9, 600.0, 60.0, processes={7: 80 * gib})
    engine = EngineUse("tiny", "tiny:latest", 100.0, 2 * gib, {0: 70 * gib})
    watch = MachineWatch(NoEngines(), lambda _: Machine(16, 128 * gib, 64 * gib, (gpu,), (engine,)))
    asyncio.run(watch.look())
    registry = CollectorRegistry()
    registry.register(watch)
    registry.register(_energy_of_a_request())
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _energy_of_a_request() -> Energy:
    """Ten seconds of idling, then ten seconds of a request."""
    energy = Energy(clock=lambda: 20.0)
    for at, joules in ((0.0, 0.0), (10.0, 400.0), (20.0, 5000.0)):
        if at == 20.0:
            energy.take(Spent(NOBODY, "/api/chat", "tiny:latest", 200, 10.0, waiting=0.0, generated_tokens=100))
        asyncio.run(energy.note(Reading(at, {"package": Counter("cpu", joules)}), (), ()))
    return energy


class NoEngines:
    """A supervisor that runs none."""

    def snapshot(self) -> tuple[()]:
        """See ``machine_watch.Engines``."""
        return ()
