"""``vllama backup`` and ``vllama restore``, with real files and real tar files."""

from __future__ import annotations

import io
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from vllama.cli import backup, restore
from vllama.config.ownership import sole_owner
from vllama.errors import AlreadyRunning, BadRequest, ConfigError
from vllama.models.manifest import Manifest, file_name, write_manifest
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source

COMMIT = "c1" * 20
PLAIN = Source("hub", "org/model", COMMIT)


@dataclass(frozen=True)
class Machine:
    """The directories of one service."""

    root: Path

    @property
    def config(self) -> Path:
        return self.root / "vllama.yaml"

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def keys(self) -> Path:
        return self.root / "vllama.keys"

    @property
    def own_names(self) -> Path:
        return self.root / "models.d" / "own.yaml"

    def settings(self, more: str = "") -> str:
        return (
            f"server: {{keys_file: {self.keys}}}\n"
            f"paths: {{state: {self.state}, catalog: {self.root / 'models.d'}}}\n{more}"
        )

    def put(self, manifest: Manifest) -> Path:
        path = self.state / "manifests" / file_name(manifest.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(write_manifest(manifest))
        return path

    def files(self) -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file() and path.suffix != ".lock"}


def name(text: str) -> ModelName:
    found = parse_name(text)
    assert found is not None
    return found


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    one = Machine(tmp_path / "machine")
    one.own_names.parent.mkdir(parents=True)
    one.config.write_text(one.settings("models: {configured: {source: org/configured}}\n"))
    one.keys.write_text("ab12 use 00 2026-11-30 laptop\n")
    one.keys.chmod(0o600)
    one.own_names.write_text("{}\n")
    one.put(Manifest(name("mini"), PLAIN))
    one.put(Manifest(name("pirate"), PLAIN, parent="mini", system="You are a pirate."))
    (one.state / "tuned").mkdir()
    (one.state / "tuned" / "mini-1.yaml").write_text("tuned: {mini: {max_num_seqs: 8}}\n")
    (one.state / "measured.json").write_text("{}")
    weights = one.state / "models" / "hub" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"w" * 1000)
    return one


@pytest.fixture
def saved(machine: Machine, tmp_path: Path) -> Path:
    file = tmp_path / "saved.tar"
    done = save(machine, file)
    assert done.exit_code == 0, done.output
    return file


def save(machine: Machine, file: Path) -> Result:
    return CliRunner().invoke(backup.command, [str(file), "--config", str(machine.config)])


def bring(machine: Machine, file: Path, *more: str) -> Result:
    return CliRunner().invoke(restore.command, [str(file), "--config", str(machine.config), *more])


def lose(path: Path) -> None:
    """Remove a directory with all that is in it."""
    for one in sorted(path.rglob("*"), reverse=True):
        one.rmdir() if one.is_dir() else one.unlink()


def test_all_settings_come_back_and_no_weights(machine: Machine, saved: Path) -> None:
    before = machine.files()
    lose(machine.root)
    done = bring(machine, saved)
    assert done.exit_code == 0, done.output
    weights = {path for path in before if path.suffix == ".safetensors"}
    assert weights
    assert machine.files() == {path: data for path, data in before.items() if path not in weights}


def test_the_number_of_files_is_that_of_the_tar_file(machine: Machine, tmp_path: Path) -> None:
    file = tmp_path / "saved.tar"
    said = save(machine, file).output
    with tarfile.open(file) as tar:
        members = len(tar.getnames())
    assert f"{file}: {members - 1} files, and backup.json, which lists them" in said


def test_a_file_of_the_project_is_not_changed_unless_it_is_named(saved: Path) -> None:
    done = CliRunner(env={"VLLAMA_CONFIG": None}).invoke(restore.command, [str(saved), "--dry-run"])
    assert isinstance(done.exception, BadRequest)
    assert "etc/vllama.yaml, which is part of the project" in done.exception.detail
    assert "--config my.yaml" in done.exception.advice


def test_keys_stay_secret(machine: Machine, saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    machine.keys.unlink()
    bring(machine, saved)
    assert stat.S_IMODE(machine.keys.stat().st_mode) == 0o600


def test_it_says_which_weights_to_pull(machine: Machine, saved: Path) -> None:
    out = bring(machine, saved, "--dry-run").output
    assert f"  vllama pull org/model@{COMMIT}\n" in out
    assert "  vllama pull org/configured\n" in out


def test_a_model_of_uploaded_files_is_named(machine: Machine, tmp_path: Path) -> None:
    machine.put(Manifest(name("tuned-by-me"), PLAIN, adapter="a" * 64))
    file = tmp_path / "b.tar"
    assert "tuned-by-me:latest was made of files" in save(machine, file).output
    assert "create it again with 'vllama create tuned-by-me:latest'" in bring(machine, file, "--dry-run").output


def test_a_dry_run_writes_nothing(machine: Machine, saved: Path, tmp_path: Path) -> None:
    machine.config.write_text(machine.settings("keep_alive: 1h\n"))
    machine.own_names.unlink()
    before, beside = machine.files(), sorted(tmp_path.iterdir())
    out = bring(machine, saved, "--dry-run").output
    assert f"changed   {machine.config}" in out
    assert f"new       {machine.own_names}" in out
    assert f"unchanged {machine.keys}" in out
    assert "Nothing was written" in out
    assert (machine.files(), sorted(tmp_path.iterdir())) == (before, beside)


def test_what_is_overwritten_can_be_restored(machine: Machine, saved: Path, tmp_path: Path) -> None:
    later = machine.settings("keep_alive: 1h\n")
    machine.config.write_text(later)
    machine.keys.write_text("cd34 use 11 2026-12-01 later\n")
    assert bring(machine, saved).exit_code == 0
    assert "keep_alive" not in machine.config.read_text()
    [undo] = tmp_path.glob("saved-overwritten-*.tar")
    assert stat.S_IMODE(undo.stat().st_mode) == 0o600
    assert bring(machine, undo).exit_code == 0
    assert machine.config.read_text() == later
    assert machine.keys.read_text() == "cd34 use 11 2026-12-01 later\n"


def test_an_unchanged_machine_needs_no_second_backup(machine: Machine, saved: Path, tmp_path: Path) -> None:
    assert bring(machine, saved).exit_code == 0
    assert not list(tmp_path.glob("*overwritten*"))


def test_a_running_service_is_not_restored_into(machine: Machine, saved: Path) -> None:
    machine.own_names.unlink()
    with sole_owner(machine.state):
        done = bring(machine, saved)
    assert isinstance(done.exception, AlreadyRunning)
    assert not machine.own_names.exists()


def test_a_backup_overwrites_no_file(machine: Machine, saved: Path) -> None:
    before = saved.read_bytes()
    assert isinstance(save(machine, saved).exception, BadRequest)
    assert saved.read_bytes() == before


def test_a_configuration_that_this_version_can_t_read_changes_nothing(machine: Machine, saved: Path) -> None:
    other = saved.with_name("other.tar")
    with tarfile.open(saved) as old, tarfile.open(other, "w") as new:
        for member in old:
            data = b"colour: red\n" if member.name == "vllama.yaml" else content(old, member)
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    before = machine.files()
    done = bring(machine, other)
    assert isinstance(done.exception, ConfigError)
    assert any(line.startswith("vllama.yaml:1: colour") for line in done.exception.problems)
    assert machine.files() == before


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None
    return file.read()


def hostile() -> Iterator[tuple[str, tarfile.TarInfo]]:
    def member(path: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
        one = tarfile.TarInfo(path)
        one.type, one.linkname, one.size = kind, target, 0
        return one

    yield "above", member("../outside.yaml")
    yield "above from a known folder", member("state/manifests/../../outside.json")
    yield "absolute", member("/etc/passwd")
    yield "a link instead of a file", member("keys", tarfile.SYMTYPE, "/etc/shadow")
    yield "a link that stays inside", member("keys", tarfile.SYMTYPE, "vllama.yaml")
    yield "a hard link", member("keys", tarfile.LNKTYPE, "vllama.yaml")
    yield "a device", member("keys", tarfile.CHRTYPE)
    yield "a pipe", member("keys", tarfile.FIFOTYPE)
    yield "a folder that is a link", member("state/manifests", tarfile.SYMTYPE, "/etc")
    yield "weights", member("state/models/files/x/model.safetensors")
    yield "a name with a line break", member("state/tuned/a\nb.yaml")
    yield "a hidden file", member("models.d/.own.yaml")


@pytest.mark.parametrize(("title", "member"), list(hostile()), ids=lambda one: one if isinstance(one, str) else "")
def test_a_forged_backup_is_refused_whole(machine: Machine, saved: Path, title: str, member: tarfile.TarInfo) -> None:
    machine.own_names.unlink()
    with tarfile.open(saved, "a") as tar:
        tar.addfile(member)
    before = machine.files()
    done = bring(machine, saved)
    assert isinstance(done.exception, BadRequest), title
    assert done.exception.message.startswith("the file can't be restored:")
    assert machine.files() == before


def test_no_planted_link_is_followed(machine: Machine, saved: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    lose(machine.state / "tuned")
    (machine.state / "tuned").rmdir()
    (machine.state / "tuned").symlink_to(outside)
    assert bring(machine, saved).exit_code == 1
    assert not list(outside.iterdir())


@pytest.mark.parametrize("data", [b"", b"not a tar", b"\x1f\x8b" + b"0" * 600], ids=["empty", "text", "cut gzip"])
def test_anything_but_a_backup_is_refused(machine: Machine, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "odd.tar"
    file.write_bytes(data)
    assert isinstance(bring(machine, file).exception, BadRequest)


def test_a_backup_that_was_cut_off_is_refused(machine: Machine, saved: Path) -> None:
    machine.own_names.unlink()
    saved.write_bytes(saved.read_bytes()[:1200])
    assert isinstance(bring(machine, saved).exception, BadRequest)
    assert not machine.own_names.exists()


def test_a_missing_backup_is_named(machine: Machine, tmp_path: Path) -> None:
    done = bring(machine, tmp_path / "none.tar")
    assert isinstance(done.exception, BadRequest)
    assert "No such file" in done.exception.detail
