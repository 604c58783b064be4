"""README.md's commands and programs, run as they stand against real vLLM with the model that they name.

Only the address and the path of the command are replaced. What the page prints below a command, or in a remark behind
``print``, is what comes out. A command that no test can run here is in ``ELSEWHERE`` with the reason; a new one that is
in neither list fails.
"""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.documents import ROOT, Block, Command, blocks, commands
from tests.real import RealService, load

README: Final = ROOT / "README.md"
CLI: Final = ROOT / "docs" / "cli.md"
HERE: Final = re.compile(r"curl .*127\.0\.0\.1:11434/|(?:.*\| *)?\.venv/bin/vllama run tinychat|vllama run tinychat ")
ELSEWHERE: Final = {
    r"sudo dnf|sudo apt|sudo systemctl|sudo vllama": "changes the machine; the package's tests run them (tests/system)",
    r"git clone": "the address is the reader's",
    r"make ": "starts a service or the tests themselves; `make run` is the same `vllama serve`",
}
_ANSWER_SECONDS: Final = 120


@pytest.fixture(scope="module")
def address(real: RealService) -> str:
    """Of the shared service, with tinychat loaded: ``127.0.0.1:PORT``."""
    asyncio.run(load(real.url, "tinychat"))
    return real.url.removeprefix("http://")


def run(command: str, address: str, typed: str = "") -> str:
    """Standard output of a shell command of the page."""
    own = shlex.join([sys.executable, "-m", "vllama"])
    text = re.sub(r"(?<![\w/])(?:\.venv/bin/)?vllama(?= )", own, command.replace("127.0.0.1:11434", address))
    return _output(["bash", "-c", text], address, typed)


def _output(argv: list[str], address: str, typed: str = "") -> str:
    env = {"PATH": "/usr/bin:/bin", "OLLAMA_HOST": address, "OLLAMA_NOHISTORY": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, input=typed, capture_output=True, text=True, timeout=_ANSWER_SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _ours(page: Path) -> list[Command]:
    return [one for one in commands(page) if HERE.match(one.text)]


def programs() -> list[Block]:
    return [block for block in blocks(README) if block.language == "python"]


def test_each_command_is_run_here_or_said_to_be_run_elsewhere() -> None:
    for command in commands(README):
        known = [reason for pattern, reason in ELSEWHERE.items() if re.match(pattern, command.text)]
        assert HERE.match(command.text) or known, f"{command.block.place}: nothing runs {command.text!r}"


@pytest.mark.parametrize("command", [*_ours(README), *_ours(CLI)], ids=lambda one: one.block.place)
def test_a_command_prints_what_the_page_says(command: Command, address: str) -> None:
    out = run(command.bare, address, typed="What is the capital of Spain?\n/bye\n")
    if "/api/generate" in command.text:
        assert json.loads(out)["response"].endswith("Rome.")
    elif command.printed:
        assert out == command.printed
    else:
        assert "Madrid" in out, "a chat answers what is typed"


def test_the_first_curl_gets_one_answer_without_thoughts(address: str) -> None:
    """It is what ``vllama serve`` prints when the model is ready."""
    found = re.search(r"^  (curl http://127\.0\.0\.1:11434/api/chat .*)$", README.read_text("utf-8"), re.MULTILINE)
    assert found
    answer = json.loads(run(found[1], address))
    assert answer["message"] == {"role": "assistant", "content": "The capital of France is Paris."}


@pytest.mark.parametrize("block", programs(), ids=lambda one: one.place)
def test_a_program_prints_what_the_page_says(block: Block, address: str) -> None:
    text = block.text.replace("127.0.0.1:11434", address)
    out = _output([sys.executable, "-c", text], address).strip()
    if said := re.search(r"print\(.*\)  # (.*)$", text, re.MULTILINE):
        assert json.loads(out) == json.loads(said[1])
    else:
        assert out == "1 2 3 4 5 6 7 8 9 10"


def test_a_text_is_shortened_into_a_file(address: str, tmp_path: Path) -> None:
    """cli.md's example, with the model that is here: no thoughts in the file."""
    [command] = [one for one in commands(CLI) if "< notes.txt" in one.text]
    (tmp_path / "notes.txt").write_text("What is the capital of Japan?\n")
    text = command.bare.replace("run qwen3", "run tinychat").replace('"Shorten this:"', '""')
    run(f"cd {shlex.quote(str(tmp_path))} && {text}", address)
    assert (tmp_path / "short.txt").read_text() == "The capital of Japan is Tokyo.\n"
