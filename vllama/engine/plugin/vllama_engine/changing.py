"""Applies a change to a module of the engine once it is imported, and says so where that can't be done."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_LOG = logging.getLogger("vllm.vllama")  # below vLLM's own logger, which writes to the engine's output
_REPORTED = "_VLLAMA_UNFIT"
"""Names the changes that were reported: processes that are started later inherit it, so each is reported once."""


class Unfit(Exception):
    """The code that a change is for looks different here; says in which way."""


def change_when_imported(name: str, change: ModuleType) -> None:
    """Call ``change.apply`` with the module ``change.MODULE``: now, or as soon as it is imported."""
    target: str = change.MODULE
    if name in _ARRIVALS.known:
        return
    _ARRIVALS.known.add(name)
    if (module := sys.modules.get(target)) is not None:
        _apply(name, change, module)
    else:
        _ARRIVALS.waiting.setdefault(target, []).append(lambda module: _apply(name, change, module))
        if _ARRIVALS not in sys.meta_path:
            sys.meta_path.insert(0, _ARRIVALS)


def source_of(module: str) -> str:
    """The source of a module, without importing it; empty if it has none."""
    try:
        spec = find_spec(module)
        # Loaders of files have get_source; one that has not raises AttributeError.
        return (spec and spec.loader and spec.loader.get_source(module)) or ""  # type: ignore[attr-defined]
    except (ImportError, AttributeError):
        return ""


def digest(function: Any) -> str:
    """A digest of a function's source: it changes with every character. Empty without a source."""
    try:
        return sha256(inspect.getsource(function).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        return ""


def _apply(name: str, change: ModuleType, module: ModuleType) -> None:
    """A change that fails is left out; it never stops the engine."""
    try:
        change.apply(module)
    except Unfit as unfit:
        _report(name, str(unfit))
    except Exception as error:  # noqa: BLE001 - whatever the code of another version raises
        _report(name, f"{type(error).__name__}: {error}")


def _report(name: str, reason: str) -> None:
    reported = os.environ.get(_REPORTED, "").split()
    if name not in reported:
        os.environ[_REPORTED] = " ".join([*reported, name])
        _LOG.warning("vLLama's change %r is not made: %s", name, reason)


class _Arrivals(MetaPathFinder):
    """Finds nothing itself: lets the others find a module that is waited for, and acts when it has been executed."""

    def __init__(self) -> None:
        self.known: set[str] = set()
        self.waiting: dict[str, list[Callable[[ModuleType], None]]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        actions = self.waiting.pop(fullname, None)
        if actions is None:
            return None
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                for action in actions:
                    action(module)

            # of this one loader: the class serves every other module
            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


_ARRIVALS = _Arrivals()
