"""Compiled code on disk: found again, distrusted after a death, removed when it is old."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from vllama.engine import kept_code
from vllama.engine.compilation import CompilationReport
from vllama.engine.spec import EngineSpec

MONTHS = 70 * 86_400.0


@dataclass(frozen=True)
class Build:
    version: str = "0.32.0"
    torch: str = "2.13.0"
    interpreter: str = "3.11.7"


@pytest.fixture
def spec(tmp_path: Path) -> EngineSpec:
    keeps = kept_code.folder_of(tmp_path / "cache", Build(), "EPYC avx512f")
    return EngineSpec("mini", (), {}, Path("/run/a.sock"), "mini", "generate", keeps=keeps)


def compiled(spec: EngineSpec, key: str = "7a64") -> Path:
    """The folder of code of that key, as vLLM fills it."""
    assert spec.keeps is not None
    folder = spec.keeps / "vllm" / "torch_compile_cache" / "torch_aot_compile" / key
    (folder / "rank_0_0").mkdir(parents=True)
    (folder / "rank_0_0" / "model").write_bytes(b"code")
    return folder


def started(folder: Path, doing: str = "") -> CompilationReport:
    return CompilationReport(code="compiled", folders=(str(folder),), doing=doing)


def test_another_engine_or_processor_has_a_folder_of_its_own(tmp_path):
    builds = [Build(), Build("0.33.0"), Build(torch="2.14.0"), Build(interpreter="3.12.1")]
    folders = {kept_code.folder_of(tmp_path, build, cpu) for build in builds for cpu in ("EPYC", "Xeon")}
    assert len(folders) == 8
    for folder in folders:
        folder.mkdir(parents=True)
    assert set(kept_code.folders_in(tmp_path)) == folders


def test_code_during_which_a_start_died_is_removed(spec):
    folder, other = compiled(spec), compiled(spec, "bbbb")
    assert not kept_code.distrust(spec, started(folder)), "it died later, of something else"
    assert folder.exists()
    assert kept_code.distrust(spec, started(folder, "loading compiled code"))
    assert not folder.exists()
    assert other.exists()
    assert not kept_code.distrust(spec, started(folder, "compiling"))


def test_no_line_of_an_engine_makes_us_remove_anything_else(spec, tmp_path):
    assert spec.keeps is not None
    root = spec.keeps / "vllm" / "torch_compile_cache"
    (tmp_path / "precious").mkdir()
    compiled(spec)
    for place in (tmp_path / "precious", root, root / "torch_aot_compile", root / "x" / ".." / ".." / "..", Path("x")):
        assert not kept_code.distrust(spec, started(place, "compiling"))
    assert (tmp_path / "precious").is_dir()
    assert (root / "torch_aot_compile" / "7a64").is_dir()


def test_the_last_start_of_each_model_is_reported_newest_first(spec, tmp_path):
    for name, fault in (("a", "old"), ("b", ""), ("a", "new")):
        compilation = replace(started(compiled(spec, name + fault)), again=fault)
        kept_code.remember(replace(spec, name=f"{name} (compiling)", served_name=name), compilation)
    assert [(start.model, start.fault) for start in kept_code.starts(tmp_path / "cache")] == [
        ("a", "what was kept can't be used (new)"),
        ("b", ""),
    ]


def test_a_start_that_compiles_nothing_leaves_the_note_of_the_one_before(spec, tmp_path):
    kept_code.remember(spec, replace(started(compiled(spec)), again="cut off"))
    kept_code.remember(spec, CompilationReport())
    (start,) = kept_code.starts(tmp_path / "cache")
    assert start.outcome == "again"


def test_notes_that_are_broken_or_cannot_be_written_are_no_fault(spec, tmp_path, caplog):
    folder = compiled(spec)
    kept_code.remember(spec, started(folder))
    (note,) = (tmp_path / "cache").glob("compiled/*/starts/*")
    note.write_text('{"model": 1')
    assert kept_code.starts(tmp_path / "cache") == ()
    note.unlink()
    note.parent.rmdir()
    note.parent.write_text("")
    kept_code.remember(spec, started(folder))
    assert "can't note" in caplog.text


def test_a_folder_that_cannot_be_used_says_why(tmp_path):
    assert kept_code.trouble(tmp_path / "a" / "b") == ""
    (tmp_path / "file").write_text("")
    assert kept_code.trouble(tmp_path / "file" / "b") == "not a directory"


def test_code_that_nobody_used_for_a_month_is_removed(spec, tmp_path):
    assert spec.keeps is not None
    cache = tmp_path / "cache"
    used, unused = compiled(spec), compiled(spec, "old")
    other = cache / "compiled" / "0.31.0-00000000"
    (other / "vllm").mkdir(parents=True)
    kept_code.trouble(spec.keeps)
    kept_code.remember(spec, started(unused))
    now = time.time() + MONTHS
    for file in (spec.keeps / "used", used):
        os.utime(file, (now, now))
    kept_code.sweep(cache, now)
    assert used.exists()
    assert not unused.exists()
    assert not other.exists()
    assert kept_code.starts(cache) == ()
    kept_code.sweep(cache, now + MONTHS)
    assert not spec.keeps.exists()
    kept_code.sweep(tmp_path / "none", now)


def test_a_start_uses_its_code(spec):
    folder = compiled(spec)
    os.utime(folder, (1, 1))
    kept_code.remember(spec, started(folder))
    assert folder.stat().st_mtime > 1
