"""A library that was loaded once is not loaded again by an interpreter of its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from vllama_engine import isa_probes
from vllama_engine.changing import Unfit


def changed(answers: list[bool]) -> Any:
    """An instruction set of a torch that was changed; ``answers``: those of its own probes, in turn."""

    class VecISA:
        def _probe_load(self, output_path: str) -> bool:
            return answers.pop(0)

        def check_build(self, code: str) -> bool:
            """As torch: a library that exists is not made again."""
            library = Path(code)
            if not library.exists():
                library.write_text("whole")
            return self._probe_load(code)

    isa_probes.apply(SimpleNamespace(VecISA=VecISA))  # type: ignore[arg-type]
    return VecISA()


def test_a_library_is_tried_until_it_could_be_loaded(tmp_path: Path) -> None:
    answers = [False, True, False]
    isa, library = changed(answers), str(tmp_path / "avx2.so")
    assert [isa._probe_load(library) for _ in range(4)] == [False, True, True, True]
    assert answers == [False]


def test_half_a_library_is_made_again(tmp_path: Path) -> None:
    library = tmp_path / "avx2.so"
    library.write_text("half")
    assert changed([False, True]).check_build(str(library))
    assert library.read_text() == "whole"


def test_a_library_that_never_loads_is_made_again_only_once(tmp_path: Path) -> None:
    answers = [False, False, True]
    assert not changed(answers).check_build(str(tmp_path / "amx.so"))
    assert answers == [True]


def test_a_trial_whose_time_was_up_while_it_was_paused_is_repeated() -> None:
    now, answers = iter([0.0, 60.1, 60.1]), iter([False, True])
    assert isa_probes.tried(lambda: next(answers), lambda: next(now))


def test_a_trial_that_fails_at_once_is_not_repeated() -> None:
    now, answers = iter([0.0, 0.2]), iter([False, True])
    assert not isa_probes.tried(lambda: next(answers), lambda: next(now))


def test_each_library_is_tried_by_itself(tmp_path: Path) -> None:
    isa = changed([True, False])
    assert isa._probe_load(str(tmp_path / "avx2.so"))
    assert not isa._probe_load(str(tmp_path / "amx.so"))


def test_where_nothing_can_be_written_it_is_tried_each_time(tmp_path: Path) -> None:
    isa, library = changed([True, False]), str(tmp_path / "missing" / "avx2.so")
    assert [isa._probe_load(library) for _ in range(2)] == [True, False]


def test_a_torch_that_tries_in_another_way_is_left_alone() -> None:
    with pytest.raises(Unfit):
        isa_probes.apply(SimpleNamespace())  # type: ignore[arg-type]
