"""Long work where nothing can move: plain lines, not too many."""

from __future__ import annotations

import pytest

from vllama.cli.progress import progress


def test_stages_are_lines_and_each_is_reported_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as show:
        show.status("loading weights")
        show.status("loading weights")
        show.status("")
        show.say("ready in 31 s")
    reported = capsys.readouterr()
    assert reported.err == "loading weights\nready in 31 s\n"
    assert reported.out == ""


def test_a_bar_reports_its_beginning_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as show:
        bar = show.bar("torch", unit="bytes")
        for done in range(0, 181_000_000, 1_000_000):
            bar.update(done, total=181_000_000)
        bar.finish()
    assert capsys.readouterr().err == "torch: 0 B of 181 MB\ntorch: 181 MB of 181 MB\n"


@pytest.mark.parametrize(
    ("unit", "reported"), [("percent", "x: 62 %"), ("items", "x: 5 of 8"), ("bytes", "x: 5 B of 8 B")]
)
def test_amounts_are_reported_in_the_bars_unit(capsys: pytest.CaptureFixture[str], unit: str, reported: str) -> None:
    with progress() as show:
        show.bar("x", total=8, unit=unit).update(5)  # type: ignore[arg-type]
    assert capsys.readouterr().err.strip() == reported


def test_quiet_work_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as show:
        show.status("loading")
        show.bar("torch", total=1).finish()
        show.say("ready")
    assert capsys.readouterr() == ("", "")
