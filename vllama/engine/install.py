"""Finding, installing and describing the engine: the public face of the rooms around it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from vllama.engine.capabilities import Capabilities, probe, read_capabilities
from vllama.engine.prefix import Prefix, install_command
from vllama.errors import EngineNotInstalled


def locate(python: Path | None, prefix: Path, *, probes: Path | None = None) -> Capabilities:
    """The engine to run: the interpreter the configuration names, else the current one under ``prefix``.

    A configured interpreter is asked (8-18 s) the first time and whenever its vLLM changed; answers are kept under
    ``probes`` (default: ``prefix/probes``). The installed engine's answer was kept when it was installed, so that
    this costs one small file. Blocks: call it in a thread.

    Raises:
        EngineNotInstalled: there is none; the hint is the command that installs it.
    """
    if python is not None:
        kept = hashlib.sha256(str(python).encode()).hexdigest()[:16]
        return probe(python, (probes or prefix / "probes") / f"{kept}.json")
    command = install_command(prefix)
    home = Prefix(prefix).current
    if home is None or not home.complete:
        raise EngineNotInstalled("no vLLM engine is installed", hint=f"Install it with: {command}")
    if home.interpreter_gone:
        raise EngineNotInstalled(
            f"the Python that the vLLM engine was made with is gone ({home.python.readlink()}), "
            "as happens after a distribution upgrade",
            hint=f"Install the engine anew with: {command}",
        )
    capabilities = read_capabilities(home.capabilities_file, home.python)
    if capabilities is None:
        raise EngineNotInstalled(
            f"{home.capabilities_file} can't be read or is damaged", hint=f"Install the engine anew with: {command}"
        )
    return capabilities
