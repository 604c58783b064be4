from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SAY = """
from vllama.cli import output
output.error("it broke", "mend it")
output.warning("so so")
output.note("by the way")
"""


def say(file: Path, journal_stream: str) -> list[str]:
    with file.open("wb") as stream:
        environ = {**os.environ, "JOURNAL_STREAM": journal_stream.format(os.fstat(stream.fileno()))}
        subprocess.run([sys.executable, "-c", SAY], stderr=stream, env=environ, check=True)
    return file.read_text().splitlines()


def test_the_journal_gets_the_severity(tmp_path: Path):
    reported = say(tmp_path / "journal", "{0.st_dev}:{0.st_ino}")
    assert reported == ["<3>Error: it broke", "<3>mend it", "<4>Warning: so so", "by the way"]


def test_other_readers_get_no_marks(tmp_path: Path):
    assert say(tmp_path / "file", "1:1")[0] == "Error: it broke"
