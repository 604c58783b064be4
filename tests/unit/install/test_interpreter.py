"""Which Python is fit for vLLM."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.installer import Machine, python_answer
from vllama.errors import InstallFailed
from vllama.install.interpreter import Interpreter, candidates, inspect, named


def test_the_newest_comes_first_and_each_once() -> None:
    machine = Machine(pythons={"python3": "3.14", "python3.14": "3.14", "python3.11": "3.11", "python3.13": "3.13"})
    found = candidates(machine.ask, machine.which, "/usr/bin/python3.11")
    assert [one.short for one in found] == ["3.14", "3.13", "3.11"]


def test_shims_that_do_not_run_are_passed_over() -> None:
    machine = Machine(pythons={"python3.11": "3.11"})
    found = candidates(machine.ask, lambda name: f"/shims/{name}", "/usr/bin/python3.11")
    assert [one.short for one in found] == ["3.11"]


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (None, "does not run"),
        (python_answer("3.10"), "is Python 3.10; vLLM needs 3.11 to 3.14"),
        (python_answer("3.15"), "is Python 3.15; vLLM needs 3.11 to 3.14"),
        (python_answer("3.13", threaded=True), "without the GIL"),
        (python_answer("3.11", implementation="PyPy"), "is PyPy"),
        ("hello", "is not a Python that answers"),
        ("[]", "is not a Python that answers"),
    ],
)
def test_an_unfit_python_is_refused_with_the_reason(said: str | None, reason: str) -> None:
    found = inspect("python3", lambda command: said)
    assert isinstance(found, str)
    assert reason in found


@given(st.text())
def test_whatever_a_command_says_it_is_a_python_or_a_reason(said: str) -> None:
    assert isinstance(inspect("python3", lambda command: said), Interpreter | str)


def test_a_python_can_be_named_by_its_version_or_its_path() -> None:
    machine = Machine(pythons={"python3.12": "3.12"})
    assert named("3.12", machine.ask, machine.which).short == "3.12"
    assert named("/usr/bin/python3.12", machine.ask, machine.which).short == "3.12"


def test_a_named_python_that_is_not_there_is_reported() -> None:
    with pytest.raises(InstallFailed, match=r"--python 3.13 does not run"):
        named("3.13", Machine().ask, Machine().which)
