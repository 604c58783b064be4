from __future__ import annotations

import pytest

from vllama.sizes import human_bytes


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (3_720_000, "3.7 MB"),
        (9_990_000, "10.0 MB"),
        (10_400_000, "10 MB"),
        (1_928_429_856, "1.9 GB"),
        (19_200_000_000, "19 GB"),
        (2_000_000_000_000, "2 TB"),
    ],
)
def test_sizes_are_decimal_with_one_digit_below_ten(size: int, shown: str) -> None:
    assert human_bytes(size) == shown
