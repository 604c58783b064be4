"""The Containerfile and the Quadlet name only what is there: files, options, variables, directories and the port."""

from __future__ import annotations

import configparser
import re
from pathlib import Path

import click

from vllama.cli.main import cli
from vllama.config.schema import Config
from vllama.config.variables import VARIABLES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "packaging" / "container"
LINES = [
    line
    for line in (FOLDER / "Containerfile").read_text().replace("\\\n", " ").splitlines()
    if line and not line.startswith("#")
]


def instructions(word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def test_everything_that_is_copied_is_there_and_is_not_ignored():
    ignore = (ROOT / ".containerignore").read_text().splitlines()
    sources = [source for line in instructions("COPY") for source in line.split()[:-1]]
    assert {"pyproject.toml", "vllama"} <= {*sources}
    for source in sources:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in ignore, source


def test_the_engine_is_installed_by_a_command_that_exists():
    (words,) = re.findall(r"vllama (engine install .+?) &&", " ".join(instructions("RUN")))
    command: click.Command = cli
    context = click.Context(cli)
    for word in words.split()[:2]:
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None
        command = found
    options = {spelling for parameter in command.params for spelling in parameter.opts}
    assert {word for word in words.split() if word.startswith("--")} <= options


def test_every_variable_of_ours_is_one_that_the_configuration_reads():
    named = set(re.findall(r"\b(VLLAMA_[A-Z_]+)=", " ".join(instructions("ENV"))))
    assert named <= {variable.name for variable in VARIABLES}
    assert "VLLAMA_STATE_DIR" in named


def test_the_quadlet_keeps_the_images_volumes_and_publishes_its_port():
    unit = configparser.RawConfigParser(strict=False)
    unit.read(FOLDER / "vllama.container")
    port = Config().server.port
    assert unit["Container"]["PublishPort"] == f"{port}:{port}"
    assert instructions("EXPOSE") == [str(port)]
    kept = re.findall(r"^Volume=vllama-[a-z]+:(\S+)$", (FOLDER / "vllama.container").read_text(), re.MULTILINE)
    (volumes,) = instructions("VOLUME")
    assert kept == volumes.split()
