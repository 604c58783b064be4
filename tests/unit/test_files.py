"""``vllama.files``: whole or not at all, and never through a link that somebody planted."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vllama import files
from vllama.config.keys import Key, write_keys
from vllama.config.ownership import sole_owner
from vllama.config.tuned import forget_tuned, tuned_file, write_tuned
from vllama.errors import ConfigError, StoreFailed
from vllama.fit.measurements import Measurements
from vllama.fit.sums import ReportedMemory
from vllama.install.capabilities import write_capabilities
from vllama.install.prefix import Home, Prefix
from vllama.models.library import Library
from vllama.models.manifest import Manifest
from vllama.models.names import parse_name
from vllama.models.sources import Source


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Somebody's file, where a planted link leads."""
    file = tmp_path / "victim"
    file.write_text("precious")
    file.chmod(0o600)
    return file


def untouched(victim: Path) -> bool:
    return victim.read_text() == "precious" and stat.S_IMODE(victim.stat().st_mode) == 0o600


def test_a_file_is_replaced_whole_with_its_mode_and_nothing_is_left_next_to_it(tmp_path: Path) -> None:
    place = tmp_path / "inner" / "file"
    files.replace(place, "one", below=tmp_path, mode=0o640)
    files.replace(place, b"two", below=tmp_path, mode=0o640)
    assert place.read_text() == "two"
    assert stat.S_IMODE(place.stat().st_mode) == 0o640
    assert [entry.name for entry in place.parent.iterdir()] == ["file"]


def test_without_a_mode_the_umask_decides(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.replace(tmp_path / "file", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


def test_a_failed_write_leaves_the_old_file_and_no_half(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "full").touch()
    with pytest.raises(OSError, match="director"):
        files.replace(tmp_path / "file", "x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_link_in_the_place_of_the_file_is_replaced_not_followed(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "file").symlink_to(victim)
    files.replace(tmp_path / "file", "new", mode=0o644)
    assert untouched(victim)
    assert not (tmp_path / "file").is_symlink()


def test_a_link_on_the_way_is_refused_below_the_configured_directory_only(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tuned").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match=r"tuned") as caught:
        files.replace(tmp_path / "state" / "tuned" / "x", "data", below=tmp_path / "state")
    assert caught.value.errno in {errno.ELOOP, errno.ENOTDIR}
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    files.replace(tmp_path / "link" / "x", "data", below=tmp_path / "link")  # an administrator's own link
    assert (tmp_path / "elsewhere" / "x").read_text() == "data"


def test_dots_do_not_lead_out(tmp_path: Path) -> None:
    (tmp_path / "state" / "tuned").mkdir(parents=True)
    with pytest.raises(OSError, match="Invalid"):
        files.replace(tmp_path / "state" / ".." / "x", "data", below=tmp_path / "state")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_ordinary_files_are_read_and_kept_open(tmp_path: Path, victim: Path, kind: str) -> None:
    place = tmp_path / "place"
    {"link": lambda: place.symlink_to(victim), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    with pytest.raises(OSError, match=str(place.name)):
        files.read(place)
    with pytest.raises(OSError, match=str(place.name)):
        files.open_kept(place)
    assert untouched(victim)


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read(tmp_path / "file", most=5) == b"12345"
    with pytest.raises(OSError, match="too large"):
        files.read(tmp_path / "file", most=4)


def _tune(folder: Path) -> Any:
    write_tuned(tuned_file(folder, "tinychat"), "tuned: {}\n")


def _keys(folder: Path) -> Any:
    write_keys(folder / "keys", [Key("1", "use", "00", "2026-11-30", "me")])


def _measure(folder: Path) -> Any:
    Measurements(folder).keep("key", ReportedMemory(1, 2, 3))


def _manifest(folder: Path) -> Any:
    name = parse_name("tinychat")
    assert name is not None
    Library(folder).put(Manifest(name, Source("hub", "org/name")), ())


def _point(folder: Path) -> Any:
    (folder / "0.32.0-cpu").mkdir(exist_ok=True)
    Prefix(folder).publish(Home(folder / "0.32.0-cpu"))


WRITERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "tuned": (_tune, "tuned/tinychat-*.yaml"),
    "keys": (_keys, "keys"),
    "measurements": (_measure, "measured.json"),
    "capabilities": (lambda folder: write_capabilities(folder / "answer.json", {}), "answer.json"),
    "manifest": (_manifest, "manifests/*.json"),
    "engine": (_point, "current"),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_no_writer_follows_what_was_planted_next_to_or_in_the_place_of_its_file(
    tmp_path: Path, victim: Path, writer: str
) -> None:
    write, pattern = WRITERS[writer]
    folder = tmp_path / "folder"
    folder.mkdir()
    write(folder)
    (place,) = folder.glob(pattern)
    place.unlink()
    names = (place.name, f"{place.name}.new", place.with_suffix(".new").name, f".{place.name}.{os.getpid()}")
    for name in dict.fromkeys(names):
        place.with_name(name).symlink_to(victim)
    write(folder)
    assert untouched(victim)
    assert place.exists() or writer == "engine"
    assert not place.is_symlink() or place.readlink() == Path("0.32.0-cpu")


def test_tuned_settings_are_neither_written_nor_removed_nor_read_through_a_linked_directory(
    tmp_path: Path, victim: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "tuned").symlink_to(tmp_path)
    place = tuned_file(tmp_path / "state", "tinychat")
    victim = victim.rename(tmp_path / place.name)
    with pytest.raises(StoreFailed):
        write_tuned(place, "x")
    with pytest.raises(StoreFailed):
        forget_tuned(place)
    assert untouched(victim)


def test_the_lock_of_a_directory_is_not_a_link(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "vllama.lock").symlink_to(victim)
    with pytest.raises(ConfigError), sole_owner(tmp_path):
        pass
    assert untouched(victim)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_writes_belongs_to_the_owner_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    os.chown(tmp_path / "state", 65534, 65534)
    write_tuned(tuned_file(tmp_path / "state", "tinychat"), "tuned: {}\n")
    for path in (tmp_path / "state").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_write_that_is_killed_leaves_the_old_file(tmp_path: Path) -> None:
    """The process ends at the very rename."""
    place = tmp_path / "file"
    files.replace(place, "old")
    code = f"""
import os
from pathlib import Path
from vllama import files
os.rename = lambda *a, **k: os._exit(9)
files.replace(Path({str(place)!r}), "new")
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 9
    assert place.read_text() == "old"
