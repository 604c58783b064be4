from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from vllama.observe.logs import JournalLines, set_up


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root, own = logging.getLogger(), logging.getLogger("vllama")
    before = (root.handlers[:], root.level, own.level)
    yield
    root.handlers[:] = before[0]
    root.setLevel(before[1])
    own.setLevel(before[2])


def test_a_terminal_gets_time_and_level():
    out = io.StringIO()
    set_up("info", stream=out)
    logging.getLogger("vllama.supervisor").info("hello %s", "you")
    assert re.fullmatch(r"\d\d:\d\d:\d\d INFO    hello you\n", out.getvalue())


def test_an_engine_is_named_and_our_level_holds():
    out = io.StringIO()
    set_up("warning", stream=out)
    log = logging.getLogger("vllama.engine.tinychat")
    log.info("not shown")
    log.warning("loading %d %%", 40)
    assert out.getvalue().endswith("WARNING tinychat: loading 40 %\n")
    assert "not shown" not in out.getvalue()


def test_other_libraries_are_heard_from_warning_on():
    out = io.StringIO()
    set_up("debug", stream=out)
    logging.getLogger("asyncio").info("not shown")
    logging.getLogger("asyncio").warning("shown")
    assert out.getvalue().endswith("WARNING shown\n")
    assert "not shown" not in out.getvalue()


@pytest.mark.parametrize("text", ["a\n12:00:00 ERROR   forged", "a\r\x1b[31mred", "a\x85\u2028\u202eb\x7f", "a\udcffb"])
def test_nobody_writes_lines_or_colours_of_his_own(text):
    out = io.StringIO()
    set_up("info", stream=out)
    logging.getLogger("vllama.http").info("%s did %d %r", text, 3, ValueError(text))
    logging.getLogger("vllama.http").info("%s", ValueError(text))
    first, second, rest = out.getvalue().split("\n")
    assert rest == ""
    assert first.isprintable()
    assert second.isprintable()


def test_an_engine_may_say_several_lines_and_paint_none():
    out = io.StringIO()
    set_up("info", stream=out)
    logging.getLogger("vllama.engine.tinychat").error("%s", "Traceback:\n\tone \x1b[31mred")
    assert out.getvalue().endswith("ERROR   tinychat: Traceback:\n\tone \\x1b[31mred\n")


@pytest.mark.parametrize(
    ("level", "priority"), [(logging.DEBUG, 7), (logging.INFO, 6), (logging.WARNING, 4), (logging.ERROR, 3)]
)
def test_the_journal_gets_a_priority_on_every_line(level, priority):
    record = logging.LogRecord("vllama.engine.mini", level, "", 0, "one\ntwo", None, None)
    assert JournalLines().format(record) == f"<{priority}>mini: one\n<{priority}>two"


def test_the_journal_is_known_by_the_device_of_its_stream(tmp_path):
    with (tmp_path / "out").open("w+") as out:
        status = (tmp_path / "out").stat()
        stream = f"{status.st_dev}:{status.st_ino}"
        set_up("info", journal_stream=stream, stream=out, journal_socket=tmp_path / "none")
        logging.getLogger("vllama").info("ready")
        out.flush()
        assert (tmp_path / "out").read_text() == "<6>ready\n"
