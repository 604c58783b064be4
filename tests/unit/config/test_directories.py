from __future__ import annotations

from pathlib import Path

import pytest

from vllama.config.directories import SOCKET_NAME_ROOM, make_directories, resolve_directories
from vllama.config.schema import Config
from vllama.errors import ConfigError


def test_root_has_the_systems_directories():
    found = resolve_directories(Config(), {"HOME": "/root"}, uid=0)
    assert [str(path) for path in (found.state, found.cache, found.runtime, found.engine_prefix)] == [
        "/var/lib/vllama",
        "/var/cache/vllama",
        "/run/vllama",
        "/var/lib/vllama-engine",
    ]


def test_a_user_has_the_xdg_directories():
    found = resolve_directories(Config(), {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/user/7"}, uid=7)
    assert [str(path) for path in (found.state, found.cache, found.runtime, found.engine_prefix)] == [
        "/home/ada/.local/share/vllama",
        "/home/ada/.cache/vllama",
        "/run/user/7/vllama",
        "/home/ada/.local/share/vllama/engine",
    ]


@pytest.mark.parametrize("uid", [0, 7])
def test_code_that_runs_from_a_checkout_keeps_everything_there(uid):
    found = resolve_directories(Config(), {"HOME": "/h", "VLLAMA_CHECKOUT": "/src"}, uid=uid)
    assert [str(path) for path in (found.state, found.cache, found.runtime, found.engine_prefix)] == [
        "/src/.vllama/state",
        "/src/.vllama/cache",
        "/src/.vllama/run",
        "/src/.vllama/engine",
    ]


def test_without_a_session_the_runtime_directory_is_a_private_temporary_one():
    found = resolve_directories(Config(), {"HOME": "/home/ada", "TMPDIR": "/tmp/x"}, uid=7)
    assert found.runtime == Path("/tmp/x/vllama-7")


def test_what_systemd_gives_is_weaker_than_the_configuration():
    environ = {"HOME": "/", "STATE_DIRECTORY": "/var/lib/private/vllama:/other", "CACHE_DIRECTORY": "/c"}
    config = Config.model_validate({"paths": {"cache": "~/cache"}})
    found = resolve_directories(config, {**environ, "HOME": "/home/ada"}, uid=0)
    assert (found.state, found.cache) == (Path("/var/lib/private/vllama"), Path("/home/ada/cache"))


def test_a_long_runtime_directory_gives_way_to_a_short_one_that_is_always_the_same():
    environ = {"HOME": "/home/ada", "XDG_RUNTIME_DIR": "/run/" + "x" * 90, "TMPDIR": "/run/" + "y" * 90}
    first, again = (resolve_directories(Config(), environ, uid=7).runtime for _ in range(2))
    assert first == again
    assert len(str(first)) + SOCKET_NAME_ROOM <= 107


def test_directories_are_made_and_the_runtime_one_is_private(tmp_path: Path):
    config = Config.model_validate({"paths": {name: str(tmp_path / name) for name in ("state", "cache")}})
    directories = resolve_directories(config, {"HOME": "/", "RUNTIME_DIRECTORY": str(tmp_path)}, uid=7)
    tmp_path.chmod(0o755)
    make_directories(directories)
    assert directories.state.is_dir()
    assert directories.runtime.stat().st_mode & 0o777 == 0o700


def test_a_planted_link_is_no_runtime_directory(tmp_path: Path):
    (tmp_path / "theirs").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "theirs")
    config = Config.model_validate(
        {"paths": {"state": str(tmp_path), "cache": str(tmp_path / "file" / "c"), "runtime": "x"}}
    )
    (tmp_path / "file").touch()
    directories = resolve_directories(config, {"HOME": "/"}, uid=7)
    directories = type(directories)(directories.state, directories.cache, tmp_path / "run", directories.engine_prefix)
    with pytest.raises(ConfigError) as caught:
        make_directories(directories)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["paths.cache", "paths.runtime"]
