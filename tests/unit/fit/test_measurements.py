from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.fit.machines import GIB, facts, gpu, model
from vllama.config.schema import Config
from vllama.fit.measurements import Measurements, plan_as_measured
from vllama.fit.plan import Plan
from vllama.fit.settings import wanted_settings
from vllama.fit.sums import ReportedMemory

LLAMA = model(facts(details={"attention.head_count": 32}))
HEAVY = ReportedMemory(weights=17 * GIB, overhead=4 * GIB, kv_request=GIB, context=8192)


def test_what_is_kept_is_found_again_after_a_restart(tmp_path: Path):
    Measurements(tmp_path).keep("mini 1", HEAVY)
    assert Measurements(tmp_path).find("mini 1") == HEAVY
    assert Measurements(tmp_path).find("mini 2") is None
    assert [path.name for path in tmp_path.iterdir()] == ["measured.json"]


@pytest.mark.parametrize("text", ["", "[]", '{"mini": 3}', '{"mini": {"weights": "many"}}', "\x00"])
def test_a_file_that_lies_counts_as_empty(tmp_path: Path, text: str):
    (tmp_path / "measured.json").write_text(text)
    found = Measurements(tmp_path)
    assert found.find("mini") is None
    found.keep("mini", HEAVY)
    assert Measurements(tmp_path).find("mini") == HEAVY


def test_a_disk_that_cannot_be_written_is_no_fault(tmp_path: Path):
    found = Measurements(tmp_path / "gone")
    found.keep("mini", HEAVY)
    assert found.find("mini") == HEAVY


def test_the_oldest_are_forgotten(tmp_path: Path):
    found = Measurements(tmp_path)
    for number in range(502):
        found.keep(f"mini {number}", HEAVY)
    assert found.find("mini 1") is None
    assert found.find("mini 2") == found.find("mini 501") == HEAVY


def test_a_plan_counts_with_what_was_measured_of_the_same_flags_device_and_engine(tmp_path: Path):
    found, card = Measurements(tmp_path), gpu(80)

    def planned(config: dict[str, object], version: str) -> tuple[Plan, str]:
        wanted = wanted_settings(LLAMA, Config.model_validate(config), card)
        answer, key = plan_as_measured(found, LLAMA, wanted, card, version=version)
        assert isinstance(answer, Plan)
        return answer, key

    first, key = planned({}, "0.32.0")
    found.keep(key, HEAVY)
    assert planned({}, "0.32.0")[0].settings.estimate.weights == 17 * GIB
    assert planned({"context_length": 4096}, "0.32.0")[1] == key
    for other in (planned({}, "0.33.0"), planned({"profiles": {"medium": {"enforce_eager": True}}}, "0.32.0")):
        assert other[1] != key
        assert other[0].settings.estimate.weights == first.settings.estimate.weights
