"""Progress is read from what uv prints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.install.tally import Tally

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

SIZES = {"torch": 700.0, "triton": 1000.0, "tiny": 0.1}


def test_the_percentage_goes_from_nothing_to_all_and_never_falls() -> None:
    tally = Tally(SIZES)
    seen = [tally.percent]
    for line in UV:
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


def test_putting_in_place_is_shown_by_the_packages_that_are_there() -> None:
    tally = Tally(SIZES)
    tally.placed(3)
    assert tally.percent == 0, "nothing is put in place before all is fetched"
    for line in UV[:7]:
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
    st.sampled_from(UV),
    st.text(),
    st.builds("Downloading {} ({})".format, st.text(min_size=1), st.text()),
    st.builds("Downloading {} ({}MiB)".format, st.sampled_from("abc"), st.floats(0, 9e9)),
)


@given(st.lists(line_of_any_kind))
def test_whatever_is_printed_the_percentage_stays_within_bounds_and_never_falls(lines: list[str]) -> None:
    tally = Tally(SIZES)
    before = 0.0
    for line in lines:
        tally.hear(line)
        assert before <= tally.percent <= 100
        before = tally.percent
