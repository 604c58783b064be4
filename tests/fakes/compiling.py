"""Compiled code as vLLM keeps it: loaded from the cache, or made in a while and saved there."""

from __future__ import annotations

import os
import signal
import time
from hashlib import sha256
from pathlib import Path

from tests.fakes.script import Script
from tests.fakes.stages import Output


def compiled(script: Script, output: Output, settings: str, cache: Path) -> None:
    """The last part of a start that is not eager; ``settings``: what the code depends on."""
    name = sha256(settings.encode()).hexdigest()
    code = cache / "torch_compile_cache" / "torch_aot_compile" / name / "rank_0_0" / "model"
    if code.is_file():
        output.say("Worker", f"loading compiled code from {code}")  # a line of our plugin, as the one below
        if script.dies_of_code:
            os.kill(os.getpid(), signal.SIGBUS)
        output.say("Worker", f"Directly load AOT compilation from path {code}")
        return
    output.say("Worker", f"compiling: no code is kept in {code}")
    output.say("Worker", "Compiling a graph for compile range (1, 2048)")
    time.sleep(script.compile_seconds)
    try:
        if script.keeps_no_code:
            raise OSError(28, "No space left on device")
        code.parent.mkdir(parents=True, exist_ok=True)
        code.write_text("compiled")
    except OSError as error:
        output.say("Worker", f"unable to save AOT compiled function to {code}: {error}", "WARNING")
    else:
        output.say("Worker", f"saved AOT compiled function to {code}")
