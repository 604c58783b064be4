"""``vllama tune`` as it is typed, with fake engines whose speed depends on one of their flags."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from tests.fakes import interpreter
from tests.fakes.model_dir import rescript, scripted
from tests.fakes.service import Service, serving
from tests.live import ROOT
from vllama.config.load import load_config
from vllama.config.tuned import tuned_file

SMALL = ("--clients", "2", "--rounds", "1", "--tokens", "20", "--prompts", "20")


class Desk:
    """A configuration with one model, and the command."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.file = folder / "vllama.yaml"
        self.model = scripted(folder, "mini")
        # everything but the step is decided, so that few engines are started
        self.config: dict[str, Any] = {
            "paths": {name: str(folder / name) for name in ("state", "cache", "runtime")},
            "engine": {"python": str(interpreter.write(folder)), "drain_timeout": "1s"},
            "models": {"mini": {"source": str(self.model), "settings": {"max_num_seqs": 256, "cpu_threads": "0"}}},
        }

    def command(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        self.file.write_text("# a person's own words\n" + yaml.safe_dump(self.config))
        env = {name: value for name, value in os.environ.items() if not name.startswith(("VLLAMA_", "OLLAMA_"))}
        argv = [sys.executable, "-m", "vllama", "tune", *arguments, "--config", str(self.file)]
        return argv, {"VLLAMA_HOST": "127.0.0.1:1", **env}

    def tune(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        argv, env = self.command(*arguments)
        return subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=110, check=False)

    def kept(self) -> dict[str, Any]:
        tuned = load_config(self.file, environ={"HOME": "/root"}).config.tuned
        return {name: found.model_dump(exclude_unset=True) for name, found in tuned.items()}


@pytest.fixture
def desk() -> Iterator[Desk]:
    folder = Path(tempfile.mkdtemp(prefix="vl-"))
    yield Desk(folder)
    shutil.rmtree(folder)


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


def test_the_fastest_setting_is_kept_reported_and_forgotten(desk: Desk) -> None:
    rescript(desk.model, token_rate=150, rates={"4096": 1000})
    done = desk.tune("mini", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "Best: max_num_batched_tokens 4096" in done.stdout
    assert "as it is: tokens/s" in done.stderr
    # on a busy machine another setting may seem faster still, on top of it
    assert desk.kept()["mini:latest"]["max_num_batched_tokens"] == 4096
    text = tuned_file(desk.state, "mini:latest").read_text()
    assert "# Written by 'vllama tune mini:latest'" in text
    assert "max_num_batched_tokens 1024" in text  # what else was tried
    assert desk.file.read_text().startswith("# a person's own words")
    assert not [
        one for one in psutil.process_iter(["cmdline"]) if str(desk.model) in " ".join(one.info["cmdline"] or ())
    ]
    assert desk.tune("mini", "--forget").stdout == "mini:latest: tuned settings deleted\n"
    assert desk.kept() == {}


@pytest.mark.long
def test_nothing_is_kept_where_nothing_is_faster(desk: Desk) -> None:
    rescript(desk.model, token_rate=300, rates={"4096": 100})
    done = desk.tune("mini", *SMALL, "--json")
    assert done.returncode == 0, done.stderr
    reported = json.loads(done.stdout)
    assert (reported["best"], reported["settings"], reported["kept"]) == (None, {}, None)
    assert reported["gains"]["max_num_batched_tokens 4096"] < 0.6
    assert desk.kept() == {}


@pytest.mark.long
def test_a_dry_run_and_a_persons_own_tuned_settings_are_only_reported(desk: Desk) -> None:
    rescript(desk.model, token_rate=150, rates={"4096": 1000})
    desk.config["tuned"] = {"mini": {"max_num_batched_tokens": 1024}}
    done = desk.tune("mini", *SMALL)
    assert done.returncode == 0, done.stderr
    assert "has tuned settings that override it" in done.stdout
    assert "max_num_batched_tokens: 4096" in done.stdout
    assert not (desk.state / "tuned").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_ends_it_leaves_all_as_it_was_and_no_engine_behind(desk: Desk, number: signal.Signals) -> None:
    """Ctrl-C, ``kill``, and a terminal that is closed."""
    rescript(desk.model, token_rate=1)
    argv, env = desk.command("mini", *SMALL)
    with subprocess.Popen(
        argv, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "round 1 of 1" in line or "warming up" in line:
                break
        family = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(number)
        _, reported = running.communicate(timeout=60)
    assert running.returncode == 130, reported
    assert "Traceback" not in reported
    assert family
    assert not psutil.wait_procs(family, timeout=20)[1]
    assert not (desk.state / "tuned").exists()


def test_a_loaded_model_is_in_the_way(desk: Desk, service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": [{"name": "other:latest"}]})
    done = desk.tune("mini", "--host", service.host)
    assert done.returncode == 1
    assert "tuning needs the whole machine" in done.stderr
    assert "vllama stop other:latest" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (("nosuch",), "is not installed"),
        (("a b",), "is not a model name"),
        (("mini", "--clients", "0"), "not a list of numbers"),
    ],
)
def test_what_can_not_be_tuned_is_reported(desk: Desk, arguments: tuple[str, ...], reported: str) -> None:
    done = desk.tune(*arguments)
    assert done.returncode in {1, 2}
    assert reported in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_can_not_be_loaded_is_reported(desk: Desk) -> None:
    rescript(desk.model, start_failure="architecture")
    done = desk.tune("mini", *SMALL)
    assert done.returncode == 1
    assert "can't be measured with its current settings" in done.stderr
