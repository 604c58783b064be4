from __future__ import annotations

from pathlib import Path

import pytest

from tests.fakes import nvml as fake
from vllama.observe.joules import used
from vllama.observe.machine import Looker
from vllama.observe.nvml import Nvml
from vllama.observe.rapl import read_rapl


def zone(root: Path, folder: str, name: str, joules: float, most: int = 262_143_328_850) -> Path:
    made = root / folder
    made.mkdir(parents=True, exist_ok=True)
    (made / "name").write_text(name + "\n")
    (made / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    (made / "max_energy_range_uj").write_text(f"{most}\n")
    return made


def server(root: Path) -> None:
    """Two packages with memory, as the kernel shows them: all zones in one folder, some shown twice."""
    for package in (0, 1):
        zone(root, f"intel-rapl:{package}", f"package-{package}", 100 + package)
        zone(root, f"intel-rapl:{package}:0", "core", 60)
        zone(root, f"intel-rapl:{package}:1", "dram", 10)
    zone(root, "intel-rapl:2", "psys", 500)
    zone(root, "intel-rapl-mmio:0", "package-0", 100)
    (root / "intel-rapl").mkdir()


def test_packages_and_their_memory_are_read_and_nothing_twice(tmp_path: Path):
    server(tmp_path)
    found = read_rapl(tmp_path)
    assert sorted(found) == ["intel-rapl:0", "intel-rapl:0:1", "intel-rapl:1", "intel-rapl:1:1"]
    assert sum(counter.joules for counter in found.values()) == 100 + 101 + 20
    assert {counter.wraps_at for counter in found.values()} == {262_143.32885}


def test_a_machine_without_meters_has_none(tmp_path: Path):
    assert read_rapl(tmp_path / "missing") == {}


@pytest.mark.parametrize("text", ["", "a lot", None])
def test_a_meter_that_can_not_be_read_is_left_out(tmp_path: Path, text: str | None):
    server(tmp_path)
    file = tmp_path / "intel-rapl:0" / "energy_uj"
    if text is None:
        file.unlink()
        file.symlink_to(file)  # no reader gets through, root included
    else:
        file.write_text(text)
    assert "intel-rapl:0" not in read_rapl(tmp_path)
    assert "intel-rapl:1" in read_rapl(tmp_path)


def test_the_look_at_the_machine_reads_all_meters_at_one_time(tmp_path: Path):
    server(tmp_path)
    card = fake.Card(millijoules=1_000_000)
    looker = Looker(Nvml(fake.Nvml(card, fake.Card(millijoules=None))), tuple, tmp_path)
    before = looker.look([]).energy
    zone(tmp_path, "intel-rapl:0", "package-0", 130)
    card.millijoules = 1_250_000
    after = looker.look([]).energy
    assert after.at > before.at
    assert used(before, after) == {"cpu": pytest.approx(30), "gpu0": 250}
