"""``python -m vllama.download.child``: one fetch as a child process, which reports in lines of JSON.

Standard input holds one line, ``{"source": ..., "state": ..., "secrets": {"HF_TOKEN": ...}}``, and then stays open: its
end means that the service has gone, and ends the child. Standard output gets ``{"plan": ...}``, ``{"here": ...}`` again
and again, and at last ``{"done": commit}`` or ``{"failed": ...}``.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson

from vllama import privacy
from vllama.download.cache import Plan, fetch
from vllama.download.messages import REGISTRY, failure_of
from vllama.errors import ModelUnusable, PullFailed
from vllama.models.sources import parse_stored

_OUTPUT: Final = 1
"""Where the service reads."""


def main() -> None:
    """Fetch what standard input names."""
    wanted = orjson.loads(sys.stdin.buffer.readline())
    privacy.take(wanted["secrets"])
    source = parse_stored(wanted["source"])
    if source is None:
        raise ValueError(f"no source: {wanted['source']!r}")
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    try:
        registry = REGISTRY.validate_python(wanted["registry"])
        _say({"done": fetch(source, Path(wanted["state"]), _planned, _here, registry)})
    except (PullFailed, ModelUnusable) as error:
        _say({"failed": failure_of(error)})


def _planned(plan: Plan) -> None:
    _say({"plan": asdict(plan)})


def _here(sizes: Mapping[str, int]) -> None:
    _say({"here": dict(sizes)})


def _say(value: Any) -> None:
    # one write a line: several threads speak
    os.write(_OUTPUT, orjson.dumps(value) + b"\n")


def _leave_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


if __name__ == "__main__":
    main()
