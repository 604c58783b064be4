"""What vLLM prints while it starts: log lines on stdout (text or JSON), progress bars and uvicorn on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

from tests.fakes.failures import Failure, epilogue

_PREFIX = "Loading safetensors checkpoint shards: "


@dataclass(frozen=True)
class Stage:
    """One line of the start, from one process; ``stderr`` lines have no prefix."""

    process: str
    message: str
    stderr: bool = False


def stages(model: str, max_model_len: int, embeds: bool) -> Iterator[Stage]:
    """The lines of a good start up to the HTTP server, in order of appearance."""
    yield Stage("APIServer", f"vLLM server version 0.32.0, serving model {model}")
    yield Stage("APIServer", f"non-default args: {{'model': '{model}', 'enforce_eager': True}}")
    yield Stage("APIServer", f"Resolved architecture: {'BertModel' if embeds else 'Qwen3ForCausalLM'}")
    yield Stage("APIServer", f"Using max model len {max_model_len}")
    yield Stage("EngineCore", f"Initializing a V1 LLM engine (v0.32.0) with config: model='{model}'")
    yield Stage("Worker", f"Starting to load model {model}...")
    for done in (0, 1, 2):
        yield Stage("Worker", f"\r{_PREFIX} {done * 50:>3}% Completed | {done}/2 [00:00<00:00, 40.0it/s]", stderr=True)
    yield Stage("Worker", "\n", stderr=True)
    yield Stage("Worker", "Loading weights took 0.04 seconds")
    yield Stage("Worker", "Warming up model for the compilation...")
    yield Stage("Worker", "Warming up done.")
    if not embeds:
        yield Stage("Worker", "Explicitly set (1.0/8.34) GiB for KV cache on node 0.")
        yield Stage(
            "EngineCore",
            f"CPU KV cache size: 65,536 tokens, Maximum concurrency for {max_model_len:,} tokens per request: "
            f"{65536 / max_model_len:.2f}x",
        )
    yield Stage("EngineCore", "init engine (profile, create kv cache, warmup model) took 0.05 s")
    yield Stage("APIServer", "Supported tasks: " + ("['embed', 'token_embed']" if embeds else "['generate']"))


class Output:
    """Writes lines as vLLM's processes do; ``as_json`` is ``--logging-config.formatter json``."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json

    def say(self, process: str, message: str, level: str = "INFO") -> None:
        """One log record on stdout."""
        if self._json:
            record = {
                "asctime": time.strftime("%Y-%m-%d %H:%M:%S,000"),
                "levelname": level,
                "name": "vllm.fake",
                "processName": "MainProcess",
                "process": os.getpid(),
                "message": message,
                "vllm_process_name": process,
            }
            text = json.dumps(record)
        else:
            prefix = f"({process} pid={os.getpid()}) {level} {time.strftime('%m-%d %H:%M:%S')} [fake.py:1] "
            text = "\n".join(prefix + line for line in message.split("\n"))
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def raw(self, text: str) -> None:
        """Bytes on stderr that no formatter touched."""
        sys.stderr.write(text)
        sys.stderr.flush()

    def uvicorn(self, message: str) -> None:
        """The HTTP server's own line."""
        if self._json:
            record = {"levelname": "INFO", "name": "uvicorn.error", "process": os.getpid(), "message": message}
            self.raw(json.dumps(record) + "\n")
        else:
            self.raw(f"INFO:     {message}\n")

    def stage(self, stage: Stage) -> None:
        """One line of the start."""
        if stage.stderr:
            self.raw(stage.message)
        else:
            self.say(stage.process, stage.message)

    def failure(self, failure: Failure) -> None:
        """The root cause where vLLM writes it, then the API server's traceback."""
        if failure.process == "APIServer":
            self._traceback(failure.lines)
            return
        title = "WorkerProc failed to start." if failure.process == "Worker" else "EngineCore failed to start."
        trace = ("Traceback (most recent call last):", '  File "fake.py", line 1, in run', *failure.lines)
        self.say(failure.process, "\n".join((title, *trace)), "ERROR")
        self._traceback((epilogue(failure),))

    def _traceback(self, lines: tuple[str, ...]) -> None:
        self.raw("Traceback (most recent call last):\n" + '  File "fake.py", line 1, in main\n')
        self.raw("\n".join(lines) + "\n")
