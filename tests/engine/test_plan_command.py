"""The command that ``vllama plan`` prints is one that the installed vLLM reads."""

from __future__ import annotations

import json
import shlex
import subprocess

import pytest
from click.testing import CliRunner

from tests.installed_engine import engine_prefix, installed_engine
from vllama.cli.plan import command
from vllama.engine.command import ENTRY

pytestmark = pytest.mark.engine

PARSE = """
import json, sys
from vllm.entrypoints.launchers.cli_args import make_arg_parser, validate_parsed_serve_args
from vllm.utils.argparse_utils import FlexibleArgumentParser
args = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
validate_parsed_serve_args(args)
print(json.dumps([args.model_tag, args.model, args.port, args.max_model_len, args.uds]))
"""


def planned(*arguments: str) -> str:
    place = {"VLLAMA_ENGINE_PREFIX": str(engine_prefix()), "VLLAMA_HOST": "127.0.0.1:1"}
    done = CliRunner(env=place).invoke(command, ["tinychat", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_vllms_own_parser_reads_the_printed_command() -> None:
    shell = planned().splitlines()[-1]
    assert json.loads(planned("--json"))["shell"] == shell
    words, python = shlex.split(shell), str(installed_engine().python)
    _, _, module, *flags = words[words.index(python) :]
    assert module == ENTRY
    done = subprocess.run([python, "-c", PARSE, *flags], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    tag, model, port, context, uds = json.loads(done.stdout.splitlines()[-1])
    assert (tag, port, context, uds) == (None, 8000, 2048, None)
    assert model.endswith("/tinychat")


def test_the_command_for_another_machine_is_vllm_serve() -> None:
    lines = planned("--gpu", "24G").splitlines()
    words = shlex.split(lines[-1])
    at = words.index("vllm")
    assert words[at + 1] == "serve"
    python = str(installed_engine().python)
    done = subprocess.run([python, "-c", PARSE, *words[at + 2 :]], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    tag, _, port, *_ = json.loads(done.stdout.splitlines()[-1])
    assert (tag.endswith("/tinychat"), port) == (True, 8000)
