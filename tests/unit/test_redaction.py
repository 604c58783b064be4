"""No password of an address is in a message."""

from __future__ import annotations

import io
import logging
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.errors import ConfigError, PullFailed
from vllama.observe import logs
from vllama.redaction import without_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://me:s3cret@mirror/wheels", "https://***@mirror/wheels"),
        ("a https://t0ken@h b http://u:p@i/x", "a https://***@h b http://***@i/x"),
        ("https://me:s3@cret@mirror/", "https://***@mirror/"),
        ("mail me@example.org, see https://example.org/@me", "mail me@example.org, see https://example.org/@me"),
        ("nothing", "nothing"),
    ],
)
def test_the_login_of_an_address_is_left_out(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@given(st.text(), st.text(alphabet="abc:@é", min_size=1))
def test_whatever_stands_around_it(around: str, password: str) -> None:
    assert f"://u:{password}@h/" not in without_passwords(f"{around} https://u:{password}@h/ {around}")


def test_it_takes_no_longer_than_its_text() -> None:
    began = time.perf_counter()
    for text in ("://" * 300_000 + "@", "://" + "a@" * 500_000, "x" * 1_000_000 + "://@"):
        without_passwords(text)
    assert time.perf_counter() - began < 2


def test_errors_and_logs_show_none() -> None:
    address = "https://me:s3cret@mirror"
    error = ConfigError(f"can't reach {address}", problems=(address,), hint=address)
    failed = PullFailed(address)
    assert "s3cret" not in f"{error} {error.message} {error.hint} {error.problems} {failed!r} {failed.args}"
    said = io.StringIO()
    handler = logging.StreamHandler(said)
    for formatter in (logs.TerminalLines(), logs.JournalLines(), logs.JournalText()):
        handler.setFormatter(formatter)
        handler.handle(
            logging.makeLogRecord(
                {"name": "vllama", "msg": "at %s", "args": (address,), "levelno": 40, "levelname": "ERROR"}
            )
        )
    assert said.getvalue().count("***@mirror") == 3
    assert "s3cret" not in said.getvalue()
