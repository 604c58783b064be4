from __future__ import annotations

from pathlib import Path

from vllama.engine.preload import find_preload


def test_libraries_are_found_in_the_engines_own_environment(tmp_path: Path):
    libs = tmp_path / "lib/python3.11/site-packages/vllm/libs"
    libs.mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").symlink_to("/usr/bin/python3")
    assert find_preload(tmp_path / "bin/python") == ()
    (tmp_path / "lib/libiomp5.so").touch()
    (libs / "libtcmalloc_minimal.so.4").touch()
    assert find_preload(tmp_path / "bin/python") == (libs / "libtcmalloc_minimal.so.4", tmp_path / "lib/libiomp5.so")
