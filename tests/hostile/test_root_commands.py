"""Root's commands run, read and write nothing that others made."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.service import serving
from vllama.config.tuned import tuned_file

ROOT = Path(__file__).parents[2]
STRANGER = 65534
PORT = 47312

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can show what root does")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A directory of another user, which anybody may enter."""
    for folder in (*tmp_path.parents[:2], tmp_path):
        folder.chmod(folder.stat().st_mode | 0o055)
    place = tmp_path / "theirs"
    place.mkdir()
    os.chown(place, STRANGER, STRANGER)
    return place


@pytest.fixture
def trap(theirs: Path) -> Path:
    """Their program; it writes down as whom it ran."""
    program = theirs / "python"
    program.write_text(f"#!/bin/sh\nid -u >> {theirs}/ran\n")
    program.chmod(0o755)
    os.chown(program, STRANGER, STRANGER)
    return program


@pytest.fixture
def their_config(theirs: Path, trap: Path) -> Path:
    config = theirs / "vllama.yaml"
    paths = {name: str(theirs / name) for name in ("state", "cache", "runtime")}
    config.write_text(f"server: {{port: {PORT}}}\nengine: {{python: {trap}}}\npaths: {paths}\nmodels:\n"
                      "  tiny: {source: 'builtin:tinychat', settings: {extra_args: [--seed=1]}}\n")  # fmt: skip
    return config


@pytest.fixture
def impostor(their_config: Path) -> Iterator[None]:
    """Their process, which looks like the service."""
    argv = ["python3", "-c", "read line", "/x/vllama", "serve", "--config", str(their_config)]
    with subprocess.Popen(argv, executable="/bin/sh", user=STRANGER, stdin=subprocess.PIPE) as process:
        yield
        process.communicate()


def vllama(*words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """The command as root types it, on a machine whose service listens on ``PORT``."""
    environ = {"PATH": os.environ["PATH"], "HOME": "/root", "VLLAMA_HOST": f"127.0.0.1:{PORT}", **more}
    command = [sys.executable, "-m", "vllama", *words]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_doctor_believes_no_process_of_a_stranger(impostor: None, theirs: Path, their_config: Path) -> None:
    reported = vllama("doctor")
    assert str(theirs) not in reported.stdout + reported.stderr
    assert not (theirs / "ran").exists()


@pytest.mark.parametrize(
    "words", [("doctor",), ("config", "check"), ("engine", "status"), ("plan", "tiny"), ("tune", "tiny")]
)
def test_no_command_of_roots_runs_a_strangers_interpreter(theirs: Path, their_config: Path, words: tuple[str]) -> None:
    reported = vllama(*words, "--config", str(their_config))
    assert "Traceback" not in reported.stderr
    assert not (theirs / "ran").exists(), "it ran"


def test_what_root_tunes_is_written_as_the_user_of_the_directory(theirs: Path, tmp_path: Path) -> None:
    """A link that a service's engine has planted leads a service's user nowhere that it could not go itself."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o600)
    state = theirs / "state"
    place = tuned_file(state, "tiny")
    place.parent.mkdir(parents=True)
    place.with_suffix(".new").symlink_to(victim)
    place.symlink_to(victim)
    for path in (state, place.parent):
        os.chown(path, STRANGER, STRANGER)
    config = tmp_path / "vllama.yaml"
    config.write_text(f"paths: {{state: {state}}}\nmodels:\n  tiny: {{source: 'builtin:tinychat'}}\n")
    vllama("tune", "tiny", "--forget", "--config", str(config))
    assert victim.read_text() == "precious"
    assert stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_what_root_creates_a_model_from_is_read_as_the_owner_of_the_directory(theirs: Path, tmp_path: Path) -> None:
    """A link in somebody's directory must not bring a file of root's into a model."""
    secret = tmp_path / "secret"
    secret.write_text("precious")
    secret.chmod(0o600)
    (theirs / "config.json").write_text("{}")
    (theirs / "model.safetensors").symlink_to(secret)
    (theirs / "Modelfile").write_text("FROM .\n")
    with serving() as service:
        reported = vllama("create", "mine", "-f", str(theirs / "Modelfile"), VLLAMA_HOST=service.host)
        assert reported.returncode != 0
        assert hashlib.sha256(b"precious").hexdigest() not in str(service.asked)
