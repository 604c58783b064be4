"""Changes to the engine's modules: made when these are imported, reported once where they do not fit."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from vllama_engine.changing import Unfit, change_when_imported, source_of


@pytest.fixture(autouse=True)
def environment_and_modules_as_before() -> Iterator[None]:
    environ, path, finders = dict(os.environ), list(sys.path), list(sys.meta_path)
    yield
    os.environ.clear()
    os.environ.update(environ)
    sys.path[:], sys.meta_path[:] = path, finders


def a_module(folder: Path, name: str, source: str = "value = 1\n") -> str:
    (folder / f"{name}.py").write_text(source)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    return name


def doubled(module):
    module.value *= 2


def test_a_module_is_changed_when_it_is_imported_and_not_before(tmp_path):
    name = a_module(tmp_path, "engine_module_a")
    change_when_imported("a", SimpleNamespace(MODULE=name, apply=doubled))
    assert name not in sys.modules
    assert importlib.import_module(name).value == 2


def test_a_module_that_is_there_is_changed_at_once_and_once_only(tmp_path):
    module = importlib.import_module(a_module(tmp_path, "engine_module_b"))
    for _ in range(2):  # vLLM may load its plugins twice
        change_when_imported("b", SimpleNamespace(MODULE=module.__name__, apply=doubled))
    assert module.value == 2


def test_two_changes_of_one_module_are_both_made(tmp_path):
    name = a_module(tmp_path, "engine_module_c")
    for change in ("c1", "c2"):
        change_when_imported(change, SimpleNamespace(MODULE=name, apply=doubled))
    assert importlib.import_module(name).value == 4


@pytest.mark.parametrize(("error", "said"), [(Unfit("it is new"), "it is new"), (KeyError("x"), "KeyError: 'x'")])
def test_a_change_that_does_not_fit_costs_a_line_and_not_the_engine(tmp_path, caplog, error, said):
    def apply(_):
        raise error

    caplog.set_level(logging.WARNING)
    for process in ("api", "worker"):  # the second one inherits the environment of the first
        number = f"{process}_{type(error).__name__}"
        name = a_module(tmp_path, f"engine_module_{number}")
        change_when_imported(f"d_{number}", SimpleNamespace(MODULE=name, apply=apply))
        assert importlib.import_module(name).value == 1
    assert caplog.text.count(said) == 2
    os.environ["_VLLAMA_UNFIT"] = "e"
    change_when_imported("e", SimpleNamespace(MODULE=name, apply=apply))
    assert caplog.text.count(said) == 2


def test_a_missing_module_stays_missing():
    change_when_imported("f", SimpleNamespace(MODULE="engine_module_f", apply=doubled))
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("engine_module_f")


def test_the_source_of_a_module_is_read_without_importing_it(tmp_path):
    name = a_module(tmp_path, "engine_module_g", "raise SystemExit\n")
    assert source_of(name) == "raise SystemExit\n"
    assert source_of("engine_module_none") == ""
    assert source_of("engine_module_none.below") == ""
