"""``python -m vllama_engine.spare``: imports what an engine imports, waits, and then becomes that engine.

Waits for one line on its standard input: JSON with the engine's ``argv``, ``env`` and ``cwd``. A standard input that
ends without one means that this interpreter is no longer needed, or that the service is gone.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import tempfile
from importlib import import_module

_ALSO = (
    "uvloop",
    "vllm.entrypoints.launchers.cli_args",
    "vllm.entrypoints.serve.utils.api_utils",
    "vllm.utils.argparse_utils",
    "vllm.v1.engine.async_llm",
    "vllm.v1.engine.core",
    "vllm.v1.executor.uniproc_executor",
)
"""What the server imports later on, and its engine core, which is forked from it."""


def main() -> None:
    """Import, wait, and run the entry that ``argv`` names, as ``python -m`` would."""
    entry = sys.argv[1]
    for name in (entry, *_ALSO):
        try:
            import_module(name)
        except ImportError as error:  # the entry will say more; another vLLM may not have the others
            sys.stderr.write(f"not imported ahead: {error}\n")
    _find_title()
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        return
    order = json.loads(line)
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    tempfile.tempdir = None  # it is asked for again, in the new environment
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    sys.modules.pop(entry, None)
    sys.argv = [entry, *order["argv"]]
    runpy.run_module(entry, run_name="__main__", alter_sys=True)


def _find_title() -> None:
    """setproctitle, which names an engine's processes, finds where to write only in the environment of the start."""
    try:
        import_module("setproctitle").getproctitle()
    except ImportError:
        return


if __name__ == "__main__":
    main()
