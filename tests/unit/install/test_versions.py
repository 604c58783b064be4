"""The build for the hardware, and the versions that were tested."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllama.install.engines import devices, untested
from vllama.install.versions import PINNED, Devices, choose_backend, is_tested, parse_version


@pytest.mark.parametrize(
    ("machine", "backend", "said"),
    [
        (Devices(), "cpu", "no GPU"),
        (Devices(nvidia_card=True, nvidia_driver=True), "cuda", "NVIDIA"),
        (Devices(nvidia_card=True), "cpu", "driver is not loaded"),
        (Devices(amd_gpu=True), "cpu", "engine.python"),
        (Devices(nvidia_card=True, nvidia_driver=True, amd_gpu=True), "cuda", "NVIDIA"),
    ],
)
def test_the_build_follows_the_hardware_and_says_why(machine: Devices, backend: str, said: str) -> None:
    choice = choose_backend(machine)
    assert choice.backend == backend
    assert said in choice.reason


def test_gpus_are_read_from_the_pci_bus(tmp_path: Path) -> None:
    for name, vendor, kind in [("0", "0x10de", "0x030200"), ("1", "0x1002", "0x040300"), ("2", "0x8086", "0x030000")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    (tmp_path / "3").mkdir()
    found = devices(tmp_path, tmp_path / "no driver")
    assert found == Devices(nvidia_card=True), "an AMD sound device is no GPU"


def test_a_machine_without_a_pci_bus_has_no_gpu(tmp_path: Path) -> None:
    assert devices(tmp_path / "none", tmp_path / "none") == Devices()


@pytest.mark.parametrize(
    ("text", "version"),
    [("0.32.0", (0, 32, 0)), ("0.32.0+cpu", (0, 32, 0)), ("0.33rc1", (0, 33)), ("0.32.1.dev4", (0, 32, 1)), ("", ())],
)
def test_versions_are_read(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


def test_what_we_install_is_what_we_tested() -> None:
    assert is_tested(PINNED)
    assert untested(PINNED) == ""


@pytest.mark.parametrize("version", ["0.31.4", "0.33.0", "1.0", ""])
def test_another_version_is_reported_as_untested(version: str) -> None:
    assert "untested" in untested(version)
