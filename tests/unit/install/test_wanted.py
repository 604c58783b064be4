"""The Python and the torch are chosen by what the machine has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.installer import Listener, Machine
from vllama.errors import InstallFailed
from vllama.install.wanted import Ingredients, WantedEngine, gather


def choose(
    machine: Machine, listener: Listener | None = None, uv: str | None = "/usr/bin/uv", **wish: Any
) -> Ingredients:
    return gather(
        WantedEngine(**({"prefix": Path("/p"), "backend": "cpu"} | wish)), machine, listener or Listener(), uv
    )


def test_the_newest_python_with_a_cpu_torch_beats_a_newer_one_without() -> None:
    machine = Machine(pythons={"python3.13": "3.13", "python3.11": "3.11"}, torch_for=("3.11",))
    assert choose(machine).python.short == "3.11"


def test_on_cuda_the_newest_python_is_taken() -> None:
    machine = Machine(pythons={"python3.13": "3.13", "python3.11": "3.11"})
    chosen = choose(machine, backend="cuda")
    assert (chosen.python.short, chosen.locks) == ("3.13", ("cuda",))


def test_without_any_cpu_torch_the_public_one_is_taken_and_its_cost_reported() -> None:
    listener = Listener()
    chosen = choose(Machine(torch_for=()), listener)
    assert chosen.locks == ("cpu", "torch-public")
    assert any("4.7 GB" in note and "--torch-index" in note for note in listener.notes)


def test_a_torch_wheel_whose_hash_the_lock_does_not_know_is_reported() -> None:
    listener = Listener()
    chosen = choose(Machine(pythons={"python3.12": "3.12"}, torch_for=("3.12",)), listener)
    assert chosen.unhashed == "torch==2.13.0+cpu"
    assert any("does not know the hash" in note for note in listener.notes)


def test_a_python_asked_for_is_the_only_one_looked_at() -> None:
    machine = Machine(pythons={"python3.13": "3.13", "python3.12": "3.12"}, torch_for=("3.13", "3.12"))
    assert choose(machine, python="3.12").python.short == "3.12"


def test_a_machine_without_a_fitting_python_gets_the_command_that_installs_one() -> None:
    with pytest.raises(InstallFailed, match=r"3\.11 to 3\.14") as caught:
        choose(Machine(pythons={"python3": "3.9"}))
    assert "dnf install" in caught.value.hint


def test_without_uv_people_read_how_to_install_it() -> None:
    with pytest.raises(InstallFailed, match="uv was not found") as caught:
        choose(Machine(), uv=None)
    assert "dnf install uv" in caught.value.hint


def test_uv_works_on_a_machine_without_pip() -> None:
    assert choose(Machine(has_pip=False)).uv.executable == "/usr/bin/uv"


def test_uv_looks_for_packages_where_pip_does() -> None:
    uv = choose(Machine(pip_config="global.find-links='/opt/wheels'\n")).uv
    assert "--find-links /opt/wheels" in " ".join(uv.from_locks(Path("/p/bin/python"), [Path("cpu.lock")], None).argv)
