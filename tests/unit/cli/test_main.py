"""The command as a whole: its help, and being interrupted before it is there."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from vllama.cli.main import cli

GROUPS = ("catalog", "config", "engine", "keys", "bench")
INTERRUPTED = """
import sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {name!r}:
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupt())
from vllama.__main__ import main
main()
"""


def help_of(*arguments: str) -> list[str]:
    found = CliRunner().invoke(cli, [*arguments, "--help"], terminal_width=80, max_content_width=80)
    assert found.exit_code == 0, found.output
    return found.output.splitlines()


@pytest.mark.parametrize("group", ["", *GROUPS])
def test_the_list_of_verbs_fits_into_80_columns_uncut(group: str):
    lines = help_of(*filter(None, [group]))
    assert [line for line in lines if line.endswith("...") and not line.startswith("Usage:")] == []
    assert max(map(len, lines)) <= 80


def test_every_verb_is_listed_with_what_it_does():
    lines = help_of()
    context = click.Context(cli)
    for verb in cli.list_commands(context):
        assert cli.get_command(context, verb) is not None, verb
        assert any(line.startswith(f"  {verb} ") and line.endswith(".") for line in lines), verb


def test_bench_reports_the_options_of_its_default_verb():
    reported = "\n".join(help_of("bench"))
    assert "--clients" in reported
    assert "vllama bench VERB --help" in reported


@pytest.mark.parametrize("name", ["vllama.cli.main", "click", "vllama.cli.ps"])
def test_ctrl_c_during_the_imports_is_quiet(name: str):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(name=name), "ps"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "")
