from __future__ import annotations

import array
import logging
import os
import socket
import struct
import sys

import pytest

from vllama.observe.journal import REQUEST_ID, JournalHandler


@pytest.fixture
def journal(tmp_path):
    """Where journald would listen; ``read()`` gives the next entry's fields."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "socket"))
        handler = JournalHandler(tmp_path / "socket")

        def read() -> dict[str, str]:
            data, rights, _, _ = listening.recvmsg(1 << 20, socket.CMSG_LEN(4))
            if rights:
                descriptors = array.array("i", rights[0][2])
                data = os.pread(descriptors[0], 1 << 24, 0)
                os.close(descriptors[0])
            return parse(data)

        yield handler, read
        handler.close()


def parse(data: bytes) -> dict[str, str]:
    fields = {}
    while data:
        line, _, data = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            (length,) = struct.unpack("<Q", data[:8])
            value, data = data[8 : 8 + length], data[8 + length + 1 :]
        fields[name.decode()] = value.decode()
    return fields


def record(name="vllama", level=logging.INFO, message="ready", **more) -> logging.LogRecord:
    made = logging.LogRecord(name, level, "", 0, message, None, None)
    vars(made).update(more)
    return made


def test_our_own_words_and_an_engines_are_kept_apart(journal):
    handler, read = journal
    handler.emit(record())
    assert read()["SYSLOG_IDENTIFIER"] == "vllama"
    handler.emit(record("vllama.engine.llama3.2:3b", logging.WARNING, "low on memory"))
    entry = read()
    assert (entry["SYSLOG_IDENTIFIER"], entry["VLLAMA_MODEL"]) == ("vllama-engine", "llama3.2:3b")
    assert (entry["PRIORITY"], entry["MESSAGE"]) == ("4", "low on memory")


def test_a_traceback_is_one_entry_with_its_error(journal):
    handler, read = journal
    try:
        raise RuntimeError("boom\nbang")
    except RuntimeError:
        broken = record(level=logging.ERROR, message="failed", exc_info=sys.exc_info())
    handler.emit(broken)
    entry = read()
    assert entry["PRIORITY"] == "3"
    assert entry["MESSAGE"].startswith("failed\nTraceback (most recent call last):\n")
    assert entry["MESSAGE"].endswith("RuntimeError: boom\nbang")


def test_what_a_request_caused_carries_its_id(journal):
    handler, read = journal
    token = REQUEST_ID.set("abc")
    try:
        handler.emit(record(model="mini"))
    finally:
        REQUEST_ID.reset(token)
    entry = read()
    assert (entry["VLLAMA_REQUEST_ID"], entry["VLLAMA_MODEL"]) == ("abc", "mini")


def test_an_entry_longer_than_a_datagram_arrives_whole(journal):
    handler, read = journal
    handler.emit(record(message="x" * (4 << 20)))
    assert len(read()["MESSAGE"]) == 4 << 20


@pytest.mark.parametrize("size", [10, 1 << 20])
def test_a_journal_that_does_not_read_blocks_nobody_and_learns_later_what_it_missed(journal, size):
    handler, read = journal
    for _ in range(2000):  # far more than a socket's queue takes
        handler.emit(record(message="x" * size))
    taken = 0
    while (entry := _next(handler, read, taken))["MESSAGE"] == "x" * size:
        taken += 1
    assert entry["MESSAGE"] == f"{2000 - taken} log entries were lost, because the journal did not take them"
    assert entry["PRIORITY"] == "4"
    assert read()["MESSAGE"] == "again"
    handler.emit(record(message="and on"))
    assert read()["MESSAGE"] == "and on"


def _next(handler, read, taken):
    """The next entry; one more is written as soon as there is room for one."""
    entry = read()
    if taken == 3:
        handler.emit(record(message="again"))
    return entry


def test_without_a_journal_the_handler_says_so(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        JournalHandler(tmp_path / "none")
