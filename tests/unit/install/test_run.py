"""An engine is installed, whatever happens on the way."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.installer import GOOD_ANSWER, Killed, Listener, Machine, make_venv
from vllama.errors import EngineNotInstalled, InstallFailed
from vllama.install.capabilities import Capabilities, write_capabilities
from vllama.install.engines import locate
from vllama.install.prefix import Home, Prefix
from vllama.install.run import Installation
from vllama.install.wanted import WantedEngine


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "engine"


def run(
    prefix: Path, machine: Machine, listener: Listener | None = None, uv: str | None = "/usr/bin/uv", **wish: Any
) -> tuple[Capabilities, bool]:
    wanted = WantedEngine(**({"prefix": prefix, "backend": "cpu"} | wish))
    return Installation(wanted, listener or Listener(), machine, uv).run()


def commands(machine: Machine, word: str) -> list[str]:
    return [" ".join(command) for command in machine.ran if word in " ".join(command)]


def test_the_engine_in_force_is_the_one_just_installed(prefix: Path) -> None:
    found, new = run(prefix, Machine())
    assert new
    assert locate(None, prefix) == found
    assert found.python == prefix / "0.32.0-cpu" / "bin" / "python"
    assert (prefix / "current").readlink() == Path("0.32.0-cpu")


def test_every_package_is_checked_against_its_hash_and_nothing_is_built(prefix: Path) -> None:
    machine = Machine()
    run(prefix, machine)
    (install,) = commands(machine, "pip install")
    assert "--require-hashes" in install
    assert "--no-deps" in install
    assert "--only-binary :all:" in install
    assert install.count("--requirement") == 2


def test_a_second_run_finds_the_engine_and_runs_nothing(prefix: Path) -> None:
    run(prefix, Machine())
    machine = Machine()
    assert run(prefix, machine)[1] is False
    assert machine.ran == []


@pytest.mark.parametrize("moment", ["venv", "--require-hashes", "ask.py"])
def test_killed_at_any_moment_nothing_half_made_is_taken_and_the_next_run_finishes(prefix: Path, moment: str) -> None:
    with pytest.raises(Killed):
        run(prefix, Machine(kill_at=moment))
    with pytest.raises(EngineNotInstalled, match="no vLLM engine is installed"):
        locate(None, prefix)
    listener = Listener()
    found, new = run(prefix, Machine(), listener)
    assert new
    assert locate(None, prefix) == found
    assert any("half-made" in note for note in listener.notes)
    assert not (prefix / "0.32.0-cpu-2").exists(), "the half-made one is cleared, not kept beside"


def test_finished_but_killed_before_it_was_published_is_published_by_the_next_run(prefix: Path) -> None:
    make_venv(prefix / "0.32.0-cpu")
    write_capabilities(prefix / "0.32.0-cpu" / "capabilities.json", GOOD_ANSWER)
    machine = Machine()
    assert run(prefix, machine)[1] is False
    assert machine.ran == []
    assert locate(None, prefix).version == "0.32.0"


def test_an_engine_with_the_record_of_an_earlier_version_is_asked_and_not_installed_again(prefix: Path) -> None:
    make_venv(prefix / "0.32.0-cpu")
    old = {key: value for key, value in GOOD_ANSWER.items() if key != "models"}
    write_capabilities(prefix / "0.32.0-cpu" / "capabilities.json", old)
    machine = Machine()
    found, new = run(prefix, machine)
    assert not new
    assert [line for line in machine.ran if "--require-hashes" in line] == []
    assert found.registry.models == GOOD_ANSWER["models"]


def test_the_current_engine_survives_a_failed_second_install(prefix: Path) -> None:
    before, _ = run(prefix, Machine())
    with pytest.raises(InstallFailed, match="disk is full"):
        run(prefix, Machine(fails={"--require-hashes": ["error: No space left on device (os error 28)"]}), force=True)
    assert locate(None, prefix) == before


def test_an_engine_that_does_not_import_is_never_published(prefix: Path) -> None:
    with pytest.raises(InstallFailed, match="libcudart") as caught:
        run(prefix, Machine(answer=None))
    assert str(prefix / "install.log") in caught.value.advice
    assert Prefix(prefix).current is None


@pytest.mark.parametrize("wrong", [{"version": "0.31.4"}, {"backend": "cuda"}])
def test_another_engine_than_asked_for_is_never_published(prefix: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(InstallFailed, match=r"the installed engine is vLLM"):
        run(prefix, Machine(answer=GOOD_ANSWER | wrong))
    assert Prefix(prefix).current is None


def test_force_builds_next_to_the_current_engine_and_keeps_it_as_the_previous_one(prefix: Path) -> None:
    first, _ = run(prefix, Machine())
    second, new = run(prefix, Machine(), force=True)
    assert new
    assert (first.python.parents[1].name, second.python.parents[1].name) == ("0.32.0-cpu", "0.32.0-cpu-2")
    assert Prefix(prefix).previous == Home(prefix / "0.32.0-cpu")


def test_only_the_current_and_the_previous_engine_are_kept(prefix: Path) -> None:
    run(prefix, Machine())
    run(prefix, Machine(), force=True)
    listener = Listener()
    run(prefix, Machine(), listener, force=True)
    assert sorted(home.path.name for home in Prefix(prefix).homes()) == ["0.32.0-cpu-2", "0.32.0-cpu-3"]
    assert any("removing 0.32.0-cpu," in note for note in listener.notes)


def test_an_interpreter_that_vanished_makes_the_engine_be_installed_again(prefix: Path) -> None:
    found, _ = run(prefix, Machine())
    found.python.unlink()
    found.python.symlink_to("/usr/bin/python3.10-gone")
    assert run(prefix, Machine())[1] is True
    assert locate(None, prefix).python.exists()


def test_another_python_asked_for_makes_the_engine_be_installed_again(prefix: Path) -> None:
    run(prefix, Machine())
    machine = Machine(pythons={"python3.12": "3.12"}, torch_for=("3.12",))
    assert run(prefix, machine, python="3.12")[1] is True


def test_two_installs_at_once_exclude_each_other_and_the_second_finds_the_work_done(prefix: Path) -> None:
    inside, go_on, second = threading.Event(), threading.Event(), Listener()
    results: list[bool] = []

    def hold() -> None:
        inside.set()
        assert go_on.wait(10)

    first = threading.Thread(target=lambda: results.append(run(prefix, Machine(during=hold))[1]))
    first.start()
    assert inside.wait(10)

    class Impatient(Listener):
        def note(self, text: str) -> None:
            super().note(text)
            go_on.set()  # the first may finish once the second has said that it waits

    second = Impatient()
    results.append(run(prefix, Machine(), second)[1])
    first.join(10)
    assert sorted(results) == [False, True]
    assert "another installation is running" in second.notes[0]


def test_the_lock_is_free_after_a_failure(prefix: Path) -> None:
    with pytest.raises(InstallFailed):
        run(prefix, Machine(answer=None))
    with (prefix / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_too_little_room_is_reported_before_anything_is_fetched(prefix: Path) -> None:
    machine = Machine(free=10**9)
    with pytest.raises(InstallFailed, match=r"needs [34]\.\d GB, 1\.0 GB are free"):
        run(prefix, machine)
    assert machine.ran == []


def test_the_public_torch_needs_more_room(prefix: Path) -> None:
    with pytest.raises(InstallFailed, match=r"needs [78]\.\d GB"):
        run(prefix, Machine(free=5 * 10**9, torch_for=()))


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InstallFailed, match="can't write the engine's folder") as caught:
        run(tmp_path / "file" / "engine", Machine())
    assert "--prefix" in caught.value.hint


def test_progress_never_falls_and_ends_at_a_hundred(prefix: Path) -> None:
    listener = Listener()
    run(prefix, Machine(), listener)
    percents = [percent for percent, _ in listener.steps]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    assert any("torch 182.9 MiB" in doing for _, doing in listener.steps)


def test_what_the_installer_said_is_kept_for_reading(prefix: Path) -> None:
    run(prefix, Machine())
    assert "Downloading torch" in (prefix / "install.log").read_text()


def test_the_venv_keeps_the_locks_it_was_made_from(prefix: Path) -> None:
    run(prefix, Machine())
    assert sorted(file.name for file in (prefix / "current" / "locks").iterdir()) == ["cpu.lock", "torch-cpu.lock"]


def test_a_cuda_engine_gets_its_kernels_and_lives_without_them(prefix: Path) -> None:
    listener = Listener()
    machine = Machine(answer=GOOD_ANSWER | {"backend": "cuda"}, fails={"download-kernels": ["no route to host"]})
    assert run(prefix, machine, listener, backend="cuda")[1] is True
    assert commands(machine, "download-kernels")
    assert any("first start compiles them" in note for note in listener.notes)
    assert sorted(file.name for file in (prefix / "current" / "locks").iterdir()) == ["cuda.lock"]


def test_no_password_of_an_index_is_in_the_log_or_the_error(tmp_path: Path) -> None:
    said = ["error: Failed to fetch: `https://me:s3cret@mirror/torch`", "  cause: refused by https://me:s3cret@mirror"]
    machine = Machine(fails={"--require-hashes": said})
    with pytest.raises(InstallFailed) as caught:
        run(tmp_path, machine)
    assert "mirror" in caught.value.message
    assert "s3cret" not in f"{caught.value.message} {caught.value.hint} {(tmp_path / 'install.log').read_text()}"
