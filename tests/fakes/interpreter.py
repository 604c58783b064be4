"""An interpreter "with vLLM in it": an executable that answers vLLama's questions and runs the fake engine.

``write(folder)`` makes it; name it as ``engine.python`` in a configuration.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.fakes import flags
from vllama.install.capabilities import QUESTION

_ROOT = Path(__file__).parents[2]
_KEY = {"interpreter": "3.11.0", "vllm": "0.32.0+cpu", "torch": "2.13.0+cpu", "question": QUESTION}
_TOOL_PARSERS = ("hermes", "llama3_json", "mistral", "qwen3_xml")
_REASONING_PARSERS = ("deepseek_r1", "qwen3")


def write(folder: Path, backend: str = "cpu") -> Path:
    """Make ``folder/python``, which starts without any environment. ``backend``: what its vLLM was built for."""
    python = folder / "python"
    python.write_text(
        f"#!{sys.executable}\n"
        f"import sys\n"
        f"sys.path.insert(0, {str(_ROOT)!r})\n"
        f"from tests.fakes.interpreter import main\n"
        f"sys.exit(main(sys.argv[1:], {backend!r}))\n"
    )
    python.chmod(0o755)
    return python


def main(argv: list[str], backend: str) -> int:
    """``-I .../ask.py [key]`` is answered, ``-m vllm...`` is the fake engine, ``-m vllama_engine.spare`` becomes it."""
    if argv[:1] == ["-I"]:
        print(json.dumps(_KEY if argv[2:] == ["key"] else _answer(backend)))
        return 0
    if argv[:1] == ["-m"] and argv[1].startswith("vllm."):
        from tests.fakes.engine import main as engine

        return engine(argv[2:])
    if argv[:2] == ["-m", "vllama_engine.spare"]:
        if not (line := sys.stdin.readline()).endswith("\n"):
            return 0
        order = json.loads(line)
        os.environ.clear()
        os.environ.update(order["env"])
        os.chdir(order["cwd"])
        return main(["-m", argv[2], *order["argv"]], backend)
    print(f"fake interpreter: can't do {argv}", file=sys.stderr)
    return 64


def _answer(backend: str) -> dict[str, Any]:
    known = json.loads((_ROOT / "vllama/install/registry.json").read_text())
    return {
        "key": _KEY,
        "version": "0.32.0",
        "backend": backend,
        "torch": _KEY["torch"],
        "flags": flags.known(),
        "tool_parsers": _TOOL_PARSERS,
        "reasoning_parsers": _REASONING_PARSERS,
        **{key: known[key] for key in ("models", "gone_models", "quantizations")},
    }
