"""What is known of compiled code in the cache: named by what changes the code, and forgotten with it."""

from __future__ import annotations

import pytest

from vllama.engine.compiled import CompiledCode, code_name

ARGV = ("python", "-m", "vllm", "--model", "/m", "--uds", "/run/a.sock", "--max-num-seqs", "64")
ENV = {"VLLM_TARGET_DEVICE": "cpu", "TMPDIR": "/run/a", "VLLM_CACHE_ROOT": "/cache"}


def name(argv=ARGV, env=None, digest="d", version="0.32.0"):
    return code_name(digest, version, argv, env or ENV)


def test_code_is_found_while_its_file_is_there(tmp_path):
    code, artifact = CompiledCode(tmp_path / "cache"), tmp_path / "model"
    artifact.touch()
    assert not code.has("abc")
    code.keep("abc", str(artifact))
    assert (code.has("abc"), code.count()) == (True, 1)
    artifact.unlink()
    assert (code.has("abc"), code.count()) == (False, 0)


@pytest.mark.parametrize("note", ["", "[]", "1", '{"artifact": 3}', '{"artifact": null}', '{"other": "/"}', "\0"])
def test_a_note_that_says_nothing_is_none(tmp_path, note):
    (tmp_path / "compiled").mkdir()
    (tmp_path / "compiled" / "abc.json").write_text(note)
    assert not CompiledCode(tmp_path).has("abc")


def test_a_note_that_can_not_be_written_is_no_error(tmp_path, caplog):
    (tmp_path / "compiled").touch()
    CompiledCode(tmp_path).keep("abc", "/model")
    assert "can't note" in caplog.text


@pytest.mark.parametrize("flag", ["--uds", "--kv-cache-memory-bytes", "--served-model-name"])
def test_sockets_names_and_the_size_of_the_kv_cache_change_no_code(flag):
    assert name((*ARGV, flag, "1", "--dtype", "x")) == name((*ARGV, flag, "2", "--dtype", "x"))
    assert name((*ARGV, flag, "1", "--dtype", "x")) != name((*ARGV, flag, "1", "--dtype", "y"))


def test_where_the_engine_has_its_files_changes_no_code():
    assert name(env={**ENV, "TMPDIR": "/run/b", "VLLM_CACHE_ROOT": "/other", "HOME": "/"}) == name()


def test_all_else_does():
    others = [
        name((*ARGV[:-1], "128")),
        name(env={**ENV, "VLLM_CPU_OMP_THREADS_BIND": "0-3"}),
        name(digest="other"),
        name(version="0.33.0"),
    ]
    assert len({name(), *others}) == 5
