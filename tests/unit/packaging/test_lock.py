"""What `make locks` keeps of a resolution: hashes of wheels that a Linux machine can install, and no addresses."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from vllama.install.lock import vouches_for


@pytest.fixture(scope="module")
def lock() -> ModuleType:
    file = Path(__file__).parents[3] / "packaging" / "engine" / "lock.py"
    spec = importlib.util.spec_from_file_location("engine_lock", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def package(version: str, *wheels: str, marker: str = "") -> dict[str, Any]:
    """A package of a ``pylock.toml``; each wheel's hash is its number."""
    return {
        "name": "torch",
        "version": version,
        **({"marker": marker} if marker else {}),
        "wheels": [
            {"url": f"https://files.example/torch-{version}-{tags}.whl", "hashes": {"sha256": f"{number:064}"}}
            for number, tags in enumerate(wheels)
        ],
    }


def test_only_wheels_for_linux_and_a_supported_python_are_kept(lock: ModuleType) -> None:
    wheels = (
        "cp311-cp311-manylinux_2_28_x86_64",
        "cp310-cp310-manylinux_2_28_x86_64",
        "cp311-cp311-win_amd64",
        "cp313-cp313t-manylinux_2_28_x86_64",
        "cp311-cp311-musllinux_1_2_x86_64",
        "cp38-abi3-manylinux_2_28_aarch64",
        "py3-none-any",
    )
    pin = lock.pin_of(package("1.0", *wheels))
    assert [digest[-1] for digest in pin.hashes] == ["0", "5", "6"]


def test_a_package_for_other_systems_only_is_left_out(lock: ModuleType) -> None:
    assert lock.pin_of(package("1.0", "py3-none-any", marker="sys_platform == 'win32'")) is None


def test_a_package_that_linux_needs_but_cannot_install_is_an_error(lock: ModuleType) -> None:
    with pytest.raises(SystemExit, match="has no wheel for Linux"):
        lock.pin_of(package("1.0", "cp311-cp311-win_amd64"))


def test_a_wheel_of_a_local_version_is_vouched_for_where_it_was_seen_only(lock: ModuleType) -> None:
    pin = lock.pin_of(package("2.13.0%2Bcpu".replace("%2B", "+"), "cp311-cp311-manylinux_2_28_x86_64"))
    assert vouches_for(pin, "3.11", "x86_64")
    assert not vouches_for(pin, "3.12", "x86_64")
    assert not vouches_for(pin, "3.11", "aarch64")
