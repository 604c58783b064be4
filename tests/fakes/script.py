"""How one fake engine shall behave: a value that tests write as JSON before the start and change while it runs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class Script:
    """Defaults are a healthy, fast engine."""

    # --- starting
    start_seconds: float = 0.05
    """Spread over the stages."""
    start_failure: str = ""
    """A name in ``failures.FAILURES``: say what vLLM says and leave with its exit status."""
    memory_left: int = 0
    """Bytes that others have left free by then: a larger ``--kv-cache-memory-bytes`` fails; 0: enough for all."""
    start_stall: bool = False
    """Stop moving in the middle of the start, silently, for ever."""
    swallow_sigterm: bool = False
    """Ignore SIGTERM while starting, as vLLM does once its EngineCore is spawned."""
    compile_seconds: float = 0.0
    """How long a start without ``--enforce-eager`` compiles, where it finds no compiled code."""
    keeps_no_code: bool = False
    """What it compiles can't be saved."""
    dies_of_code: bool = False
    """It dies of the compiled code that it loads, as of a kernel that was cut off."""
    failing_warmup: str = ""
    """Become healthy, but answer every generation with this error (HTTP 500)."""

    # --- generating
    token_rate: float = 0.0
    """Tokens a second of each stream; 0: as fast as the loop turns."""
    rates: Mapping[str, float] = dataclasses.field(default_factory=dict)
    """``token_rate`` by the value of ``--max-num-batched-tokens``, where the flag was given."""
    ttft: float = 0.0
    """Seconds from admission to the first token."""
    max_num_seqs: int = 256
    text: str | None = None
    """The answer to everything; None: echo, count, call tools as the prompt asks (see ``answers``)."""
    max_model_len: int = 0
    """0: from the flag, else from config.json, else 2048."""

    # --- trouble while generating
    after_tokens: int = 0
    """Trouble begins when so many tokens were made since the start of the engine or of this script ..."""
    trouble: str = ""
    """... and is one of ``exit``, ``signal``, ``core_dies``, ``hang``, ``error``, ``abort``, ``close``."""
    exit_code: int = 1
    signal: int = 9
    once: bool = False
    """``error``, ``abort`` and ``close`` hit one request only."""
    dribble: int = 0
    """Write streams in pieces of so many bytes; 0: whole events."""
    refuse: int = 0
    """Answer so many requests with 503."""

    # --- stopping
    death_seconds: float = 0.2
    """From the death of the EngineCore to the exit of the server (vLLM: about 4 s)."""
    leave_children: bool = False
    """Leave without ending EngineCore and Worker."""
    ignore_sigterm: bool = False
    """Never leave on SIGTERM, as vLLM does when a drain runs out with streams open."""

    def update(self, changes: Mapping[str, Any]) -> None:
        """Set fields by name; KeyError for a name that is none."""
        known = {field.name for field in dataclasses.fields(self)}
        for name, value in changes.items():
            if name not in known:
                raise KeyError(name)
            setattr(self, name, value)


def load(model: Path, env: Mapping[str, str] = os.environ) -> Script:
    """``fake.json`` in the model's directory, overlaid by ``FAKE_ENGINE`` (JSON, or the path of a JSON file)."""
    script = Script()
    neighbours = model / "fake.json"
    if neighbours.is_file():
        script.update(json.loads(neighbours.read_text()))
    given = env.get("FAKE_ENGINE", "")
    if given:
        script.update(json.loads(given if given.lstrip().startswith("{") else Path(given).read_text()))
    return script
