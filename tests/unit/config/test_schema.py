from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from vllama.config.explain import duration, size
from vllama.config.schema import Config, Observe, Settings, read_context, read_duration, read_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("1d", 86400),
        (90, 90),
        ("1h 30m", 5400),
    ],
)
def test_durations(text: object, seconds: float):
    assert read_duration(text) == seconds


@pytest.mark.parametrize("value", [-1, "-1", "forever", -0.5])
def test_negative_durations_never_end(value: object):
    assert read_duration(value) == math.inf


@pytest.mark.parametrize("value", ["", "5", "m", "5x", "1h-", True, None, [], math.nan, "30 seconds", "s30"])
def test_other_durations_are_refused(value: object):
    with pytest.raises(ValueError, match="must be a duration"):
        read_duration(value)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("4GiB", 4 << 30),
        ("4G", 4 << 30),
        ("500MB", 500_000_000),
        ("64KiB", 65536),
        ("1.5k", 1536),
        (7, 7),
        ("12", 12),
        ("3B", 3),
    ],
)
def test_sizes(text: object, count: int):
    assert read_size(text) == count


@pytest.mark.parametrize("value", ["", "GiB", "-1", -1, "4 Gigs", True, 1.5, None, "1" * 400])
def test_other_sizes_are_refused(value: object):
    with pytest.raises(ValueError, match="must be a size"):
        read_size(value)


@settings(deadline=None)
@given(st.one_of(st.text(), st.floats(), st.integers(), st.none(), st.booleans()))
def test_readers_raise_nothing_but_value_errors(value: object):
    for reader in (read_duration, read_size, read_context):
        with contextlib.suppress(ValueError):
            reader(value)


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=1 << 62))
def test_a_spelled_size_reads_back(count: int):
    assert read_size(size(count)) == count


@settings(deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_a_spelled_duration_reads_back(seconds: int):
    assert read_duration(duration(float(seconds))) == seconds


def test_null_means_the_default():
    assert Config.model_validate({"server": None, "keep_alive": None, "models": None, "profiles": {"small": None}}) == (
        Config.model_validate({"profiles": {"small": {}}})
    )


def test_a_number_in_quotes_is_no_number():
    with pytest.raises(ValueError, match="valid integer"):
        Settings.model_validate({"max_num_seqs": "4"})
    with pytest.raises(ValueError, match="valid boolean"):
        Settings.model_validate({"enforce_eager": "yes"})


@pytest.mark.parametrize("address", ["http://127.0.0.1:4318", "https://otel.example", "http://[::1]:4318/"])
def test_a_receiver_of_traces_is_an_address(address: str):
    assert Observe(otlp=address).otlp == address.rstrip("/")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1:4318",
        "grpc://host:4317",
        "http://",
        "http://h:99999",
        "http://me:secret@h",
        "http://h/v1/traces",
        "a b",
    ],
)
def test_what_is_no_address_of_a_receiver_is_refused(address: str):
    with pytest.raises(ValidationError, match=r"http://127\.0\.0\.1:4318"):
        Observe(otlp=address)
