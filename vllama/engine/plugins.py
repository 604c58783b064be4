"""How the engine finds our plugin, which makes our changes to vLLM inside its processes. Pure.

The plugin (``plugin/vllama_engine``) comes with the service, not with the engine: so it always is of the service's
version, and vLLM's own files stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).with_name("plugin")
"""Holds the plugin's package and the ``dist-info`` with its entry point."""
NAME: Final = "vllama"
"""Of the entry point in the group ``vllm.general_plugins``."""
PAGING: Final = "VLLAMA_PAGING"
"""Variable for an engine whose processes move their memory to swap space on request."""


def with_plugin(env: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """An engine's environment in which it finds our plugin as well as a person's own; and notes on what was added."""
    path = ":".join(filter(None, (str(FOLDER), env.get("PYTHONPATH"))))
    chosen = env.get("VLLM_PLUGINS")
    if chosen is None or NAME in chosen.split(","):
        return {**env, "PYTHONPATH": path}, ()
    plugins = ",".join(filter(None, (chosen, NAME)))
    note = f"VLLM_PLUGINS is {plugins}: without {NAME!r} the engine would lack our changes"
    return {**env, "PYTHONPATH": path, "VLLM_PLUGINS": plugins}, (note,)
