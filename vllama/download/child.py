"""``python -m vllama.download.child``: one task of the hub as a child process, which reports in lines of JSON.

Standard input holds one line, ``{"task": "fetch" or "describe", "source": ..., "registry": ..., "secrets": {...},
"state": ...}``, and then stays open: its end means that the service has gone, and ends the child. Standard output gets,
while files are fetched, ``{"snapshot": ...}`` and ``{"here": ...}`` again and again; at last ``{"answer": ...}``, a
commit or the facts, or ``{"failed": ...}``.
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
from vllama.download.cache import fetch
from vllama.download.hub import Snapshot, describe
from vllama.download.messages import FACTS, REGISTRY, failure_of
from vllama.errors import ModelUnusable, PullFailed
from vllama.models.sources import parse_stored

_OUTPUT: Final = 1
"""Where the service reads."""


def main() -> None:
    """Do what standard input names."""
    wanted = orjson.loads(sys.stdin.buffer.readline())
    privacy.take(wanted["secrets"])
    threading.Thread(target=_leave_with_parent, name="parent", daemon=True).start()
    try:
        _say({"answer": _answer(wanted)})
    except (PullFailed, ModelUnusable) as error:
        _say({"failed": failure_of(error)})


def _answer(wanted: Mapping[str, Any]) -> Any:
    source = parse_stored(wanted["source"])
    if source is None:
        raise ValueError(f"no source: {wanted['source']!r}")
    registry = REGISTRY.validate_python(wanted["registry"])
    if wanted["task"] == "describe":
        return FACTS.dump_python(describe(source, registry), mode="json")
    return fetch(source, Path(wanted["state"]), _planned, _here, registry)


def _planned(snapshot: Snapshot) -> None:
    _say({"snapshot": asdict(snapshot)})


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
