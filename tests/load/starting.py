"""``python -m tests.load.starting``: from an order to its first token, next to ``vllm serve`` with the same files.

Two models: SmolLM2, which is compiled, and tinychat, which is not. In turns, after one round that is not counted and
fills the caches:

- *vllm serve*: from starting a bare ``vllm serve MODEL`` to its first token, with its own defaults but for the size of
  its KV cache.
- *load*: from a request to its first token, where the model is not loaded and no spare interpreter waits.
- *swap*: the same where another model is loaded that must go first.
- *swap, spare*: the same, and a spare interpreter waits (``engine.spare``).
- *stop*: from the order to unload a model until nothing of its engine is left.

``--json FILE`` keeps all samples. The exit status is 1 where a bound is not kept; run it on an otherwise idle machine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from tests.fakes.model_dir import TINYCHAT
from tests.installed_engine import engine_prefix, installed_engine
from tests.live import LiveService
from tests.load.streams import ENGINE, NATIVE_CHAT, Dialect, open_stream
from tests.smollm2 import smollm2_dir
from vllama.engine.command import ENTRY

_UP_SECONDS: Final = 900.0
_LOOK_SECONDS: Final = 0.02
_KV_CACHE: Final = 1 << 30
_BARE: Final = "vllm serve"
_STOP_BOUND: Final = 2.0


@dataclass(frozen=True)
class Subject:
    """A model that is started, and how long its load may take."""

    name: str
    files: Path
    seconds: float
    share: float | None = None
    """Of the time that ``vllm serve`` takes."""

    @property
    def twin(self) -> str:
        """The name of the same files as another model."""
        return f"{self.name}-twin"


@dataclass
class Samples:
    """Seconds, by model and by what was measured."""

    taken: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, subject: Subject, what: str, seconds: float) -> None:
        """One more."""
        self.taken.setdefault(subject.name, {}).setdefault(what, []).append(seconds)
        print(f"{subject.name}: {what} {seconds:.2f} s", file=sys.stderr, flush=True)

    def median(self, subject: Subject, what: str) -> float:
        """Of all samples."""
        return statistics.median(self.taken[subject.name][what])


async def main(given: argparse.Namespace, folder: Path) -> int:
    """All rounds, the table, and whether all bounds were kept."""
    subjects = (Subject("smollm2", smollm2_dir(), 20.0, 0.25), Subject("tinychat", TINYCHAT, 12.0))
    samples = Samples()
    for number in range(1 if given.warm else 0, given.rounds + 1):
        print(f"round {number}" if number else "warming up", file=sys.stderr, flush=True)
        for subject in subjects:
            seen = samples if number else Samples()
            place = folder / f"{number}-{subject.name}"
            place.mkdir()
            seen.add(subject, _BARE, await bare(subject, place))
            await ours(subject, place / "off", seen, spare=False)
            await ours(subject, place / "on", seen, spare=True)
    broken = [line for subject in subjects for line in excesses(subject, samples)]
    print("\n".join([*table(subjects, samples), "", *broken]))
    if given.json:
        text = json.dumps({"cores": os.cpu_count(), "rounds": given.rounds, "seconds": samples.taken}, indent=1)
        given.json.write_text(f"{text}\n")
    return 1 if broken else 0


async def ours(subject: Subject, folder: Path, samples: Samples, *, spare: bool) -> None:
    """A service with the model and its twin, of which one at a time is loaded."""
    config = configured(subject, folder, spare=spare)
    async with LiveService(folder, config) as service:
        load = await asked(service.url, NATIVE_CHAT, subject.name)
        if not spare:
            samples.add(subject, "load", load)
        else:
            await spare_waits(service)
        swap = await asked(service.url, NATIVE_CHAT, subject.twin)
        samples.add(subject, "swap, spare" if spare else "swap", swap)
        if not spare:
            samples.add(subject, "stop", await stopped(service, subject.twin))


def configured(subject: Subject, folder: Path, *, spare: bool) -> dict[str, Any]:
    """The configuration."""
    for made in (folder, folder / "run"):
        made.mkdir()
    settings = {"kv_cache_memory": _KV_CACHE}
    return {
        "engine": {
            "prefix": str(engine_prefix()),
            "compile": "always",
            "spare": spare,
            "max_loaded": 1,
            "min_residence": 0,
        },
        "models": {
            subject.name: {"source": str(subject.files), "settings": settings},
            subject.twin: {"source": str(twin_dir(subject)), "settings": settings},
        },
        "keep_alive": "-1",
        "paths": {
            "state": f"{folder}/state",
            "cache": str(engine_prefix().parent / "cache"),
            "runtime": str(folder / "run"),
        },
    }


def twin_dir(subject: Subject) -> Path:
    """The twin's directory: links to the same files, for one directory is one engine, whatever names it has.

    It stays where it is: the place of a model's files is part of the name that vLLM gives to its compiled code.
    """
    folder = engine_prefix().parent / "twins" / subject.name
    folder.mkdir(parents=True, exist_ok=True)
    for file in subject.files.iterdir():
        link = folder / file.name
        link.unlink(missing_ok=True)
        link.symlink_to(file.resolve())
    return folder


async def bare(subject: Subject, folder: Path) -> float:
    """Seconds from the start of ``vllm serve`` to its first token."""
    socket, cache = folder / "bare.sock", engine_prefix().parent / "cache"
    argv = [str(installed_engine().python), "-m", ENTRY, "--model", str(subject.files), "--served-model-name", "bare"]
    argv += ["--uds", str(socket), "--kv-cache-memory-bytes", str(_KV_CACHE)]
    env = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_OFFLINE": "1",
        "VLLM_CACHE_ROOT": str(cache / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(cache / "torchinductor"),
    }
    with (folder / "bare.log").open("wb") as log:
        began = time.perf_counter()
        process = await asyncio.create_subprocess_exec(*argv, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        await asked(f"unix:{socket}", ENGINE, "bare", lambda: process.returncode is None)
        return time.perf_counter() - began
    finally:
        family = psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []
        process.terminate()
        await asyncio.wait_for(process.wait(), 60)
        for child in family:
            if child.is_running():
                child.kill()


async def asked(address: str, dialect: Dialect, model: str, lives: Callable[[], bool] = lambda: True) -> float:
    """Seconds until there is a first token; asks again as long as nobody listens."""
    began = time.perf_counter()
    while time.perf_counter() - began < _UP_SECONDS and lives():
        try:
            stream = await open_stream(address, dialect.request(model, "Count to 5", 1), dialect.mark)
        except OSError:
            await asyncio.sleep(_LOOK_SECONDS)
            continue
        await stream.begun
        took = time.perf_counter() - began
        await stream.ended
        stream.transport.close()
        return took
    raise RuntimeError(f"{address} did not come up")


async def spare_waits(service: LiveService) -> None:
    """Until the spare interpreter has done its imports: its CPU time stands still."""
    deadline, before = time.monotonic() + _UP_SECONDS, -1.0
    while time.monotonic() < deadline:
        await asyncio.sleep(1)
        if (spare := service.spare()) is not None:
            used = sum(spare.cpu_times()[:2])
            if used == before:
                return
            before = used
    raise RuntimeError(f"no spare interpreter:\n{service.log}")


async def stopped(service: LiveService, model: str) -> float:
    """Seconds from the order to unload it until none of its processes is left."""
    family = service.engines()
    began = time.perf_counter()
    await service.post("/api/generate", {"model": model, "keep_alive": 0})
    while any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family):
        await asyncio.sleep(_LOOK_SECONDS)
    return time.perf_counter() - began


def table(subjects: tuple[Subject, ...], samples: Samples) -> Iterator[str]:
    """Markdown: medians, and their ratios to ``vllm serve``."""
    yield "| Model | What | s | of `vllm serve` |"
    yield "|---|---|---|---|"
    for subject in subjects:
        for what in samples.taken[subject.name]:
            seconds, whole = samples.median(subject, what), samples.median(subject, _BARE)
            ratio = "" if what in {_BARE, "stop"} else f"{seconds / whole:.2f}"
            yield f"| {subject.name} | {what} | {seconds:.1f} | {ratio} |"


def excesses(subject: Subject, samples: Samples) -> Iterator[str]:
    """Bounds that were not kept, a sentence each."""
    load = samples.median(subject, "load")
    bounds = [("load", subject.seconds), ("stop", _STOP_BOUND), ("swap", _STOP_BOUND + load), ("swap, spare", load)]
    if subject.share is not None:
        bounds.append(("load", subject.share * samples.median(subject, _BARE)))
    for what, most in bounds:
        if (seconds := samples.median(subject, what)) > most:
            yield f"{subject.name}: {what} took {seconds:.1f} s, more than {most:.1f} s"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--warm", action="store_true", help="the caches are full: no round that is not counted")
    parser.add_argument("--json", type=Path, help="keep all samples in this file")
    with tempfile.TemporaryDirectory(prefix="vl-") as made:
        sys.exit(asyncio.run(main(parser.parse_args(), Path(made))))
