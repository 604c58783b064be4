from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from vllama.config.keys import KeyRing, key_files, make_key, read_keys, write_keys
from vllama.errors import ConfigError


def ring_of(files: Sequence[Path]) -> KeyRing:
    ring = KeyRing(files)
    ring.read()
    return ring


def test_a_key_is_found_by_its_secret_and_only_its_hash_is_kept(tmp_path):
    file = tmp_path / "keys"
    key, secret = make_key("laptop of the kitchen", "manage", "2026-11-21")
    write_keys(file, [key])
    assert read_keys(file) == (key,)
    assert secret not in file.read_text()
    assert ring_of([file]).find(secret) == key
    assert ring_of([file]).find("vllama-other") is None
    assert file.stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("put", [os.mkfifo, Path.mkdir, lambda file: file.symlink_to("/dev/zero")])
async def test_what_is_no_file_is_never_waited_for_and_a_key_can_still_be_revoked(tmp_path, put):
    file, (key, secret) = tmp_path / "keys", make_key("a", "manage", "2026-11-21")
    write_keys(file, [key])
    ring = ring_of([file])
    file.unlink()
    put(file)
    await ring.look()
    assert ring.find(secret) == key
    file.rmdir() if file.is_dir() else file.unlink()
    write_keys(file, [])
    await ring.look()
    assert ring.find(secret) is None


def test_the_file_may_be_a_link(tmp_path):
    key, secret = make_key("a", "use", "2026-11-21")
    write_keys(tmp_path / "real", [key])
    (tmp_path / "keys").symlink_to("real")
    assert ring_of([tmp_path / "keys"]).find(secret) == key


async def test_a_key_that_is_added_or_revoked_counts_at_once(tmp_path):
    file = tmp_path / "keys"
    ring = KeyRing([file])
    key, secret = make_key("a", "use", "2026-11-21")
    await ring.look()
    assert ring.find(secret) is None
    write_keys(file, [key])
    await ring.look()
    assert ring.find(secret) == key
    write_keys(file, [])
    await ring.look()
    assert ring.find(secret) is None


@pytest.mark.parametrize("garbage", [b"nonsense\n", b"\xff\xfe\n", b"# half a line\n1234 use"])
def test_a_broken_file_leaves_the_keys_that_were_last_read(tmp_path, garbage, caplog):
    broken, whole = tmp_path / "a", tmp_path / "b"
    kept, first, second = (make_key(name, "use", "2026-11-21") for name in "abc")
    write_keys(broken, [kept[0]])
    write_keys(whole, [first[0]])
    ring = ring_of([broken, whole])
    broken.write_bytes(garbage)
    write_keys(whole, [second[0]])
    with caplog.at_level(logging.ERROR):
        ring.read()
        ring.read()
    assert [ring.find(secret) for _, secret in (kept, first, second)] == [kept[0], None, second[0]]
    assert len(caplog.records) == 1
    write_keys(broken, [])
    ring.read()
    assert ring.find(kept[1]) is None


def test_a_file_that_is_removed_takes_its_keys_along(tmp_path):
    key, secret = make_key("a", "use", "2026-11-21")
    write_keys(tmp_path / "keys", [key])
    ring = ring_of([tmp_path / "keys"])
    (tmp_path / "keys").unlink()
    ring.read()
    assert ring.find(secret) is None


def test_the_credential_of_systemd_counts_too(tmp_path):
    key, secret = make_key("a", "use", "2026-11-21")
    write_keys(tmp_path / "vllama.keys", [key])
    files = key_files(tmp_path / "none", tmp_path, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert ring_of(files).find(secret) == key


def test_a_damaged_file_is_reported_with_its_line(tmp_path):
    file = tmp_path / "keys"
    file.write_text("# a word\nnonsense\n")
    with pytest.raises(ConfigError, match="keys:2: is not a key"):
        read_keys(file)


def test_a_place_that_can_not_be_written_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="can't write"):
        write_keys(tmp_path / "file" / "keys", [])


def test_readers_see_the_whole_file(tmp_path):
    file = tmp_path / "keys"
    write_keys(file, [make_key("a", "use", "2026-11-21")[0]])
    before = file.stat().st_ino
    write_keys(file, [])
    assert file.stat().st_ino != before


def test_a_header_of_any_bytes_is_no_key_and_no_failure(tmp_path):
    assert ring_of([tmp_path / "keys"]).find(b"\xff\xfe".decode("utf-8", "surrogateescape")) is None
