"""Run by the engine, never imported by the service: what we change in vLLM, one module for each change.

The service puts the folder above into the engine's PYTHONPATH (``engine.plugins``). vLLM finds our entry point there
and calls ``install`` in each of its processes: API server, engine core and workers. vLLM's own files stay as they are.

A change is a module with two names:

- ``MODULE``: the module that it changes. It is changed right after it was imported, and is not imported for our sake.
- ``apply(module)``: changes it, or raises ``Unfit`` where the code there is not what the change was written for.

``VLLAMA_WITHOUT`` in the engine's environment names changes to leave out, with commas between them.
"""

from __future__ import annotations

import os
from importlib import import_module

from .changing import change_when_imported
from .paging import offer

CHANGES = (
    "aot_loading",
    "forked_core",
    "compile_news",
    "warm_up",
    "isa_probes",
    "triton_key",
    "amx_permission",
    "one_group",
    "token_ranks",
    "chat_chunks",
    "text_chunks",
    "corruption_check",
)
"""Names of modules in here."""


def install() -> None:
    """Make all changes, and listen to the service; calling it again changes nothing more."""
    offer()
    without = os.environ.get("VLLAMA_WITHOUT", "").replace(" ", "").split(",")
    for name in CHANGES:
        if name not in without:
            change_when_imported(name, import_module(f"{__name__}.{name}"))
