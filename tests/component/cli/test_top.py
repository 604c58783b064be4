"""``vllama top`` and ``vllama ps --watch`` on a terminal, in a pipe, and while the service is away."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.component.cli.conftest import Vllama
from tests.component.cli.terminal import CTRL_C, Terminal
from tests.fakes.service import Service
from tests.unit.cli.test_dashboard import LIVE, STATUS


@pytest.fixture(autouse=True)
def state(service: Service) -> None:
    service.fixed["/vllama/status"] = (200, STATUS)
    service.fixed["/vllama/requests"] = (200, {"live": [LIVE], "ended": []})
    service.fixed["/vllama/engines"] = (200, {"engines": []})
    service.fixed["/api/ps"] = (200, {"models": []})


@pytest.mark.parametrize("key", ["q", CTRL_C])
def test_top_follows_the_service_until_a_key_is_pressed(
    terminal: Callable[..., Terminal], service: Service, key: str
) -> None:
    screen = terminal("top")
    screen.see("loading weights 50 %")
    engines = [{**STATUS["engines"][1], "stage": "loading weights 75 %", "percent": 75.0}]
    service.fixed["/vllama/status"] = (200, {**STATUS, "engines": engines})
    screen.see("loading weights 75 %")
    screen.type(key)
    assert screen.leave() in {0, 130}


def test_top_waits_for_a_service_that_does_not_answer(terminal: Callable[..., Terminal], service: Service) -> None:
    screen = terminal("top")
    screen.see("mini:latest")
    service.fixed["/vllama/status"] = (503, {"error": "the server is shutting down"})
    screen.see("trying again")
    service.fixed["/vllama/status"] = (200, STATUS)
    screen.see("mini:latest")
    screen.type("q")
    assert screen.leave() == 0


def test_names_with_control_characters_do_nothing_to_the_terminal(
    terminal: Callable[..., Terminal], service: Service
) -> None:
    service.fixed["/vllama/status"] = (200, {**STATUS, "notices": ["\x1b]0;owned\x07 [bold]see"]})
    screen = terminal("top")
    screen.see("[bold]see")
    assert "\x1b]0;" not in screen.raw
    screen.type("q")
    assert screen.leave() == 0


def test_ps_can_be_watched(terminal: Callable[..., Terminal], service: Service) -> None:
    screen = terminal("ps", "--watch")
    screen.see("PROCESSOR")
    loading = {"name": "mini", "digest": "abc", "phase": "starting", "stage": "loading weights 62 %", "waiting": 1}
    service.fixed["/vllama/engines"] = (200, {"engines": [loading]})
    screen.see("loading weights 62 %")
    screen.type("q")
    assert screen.leave() == 0


@pytest.mark.parametrize(("words", "hint"), [(["top"], "vllama top --json"), (["ps", "--watch"], "without --watch")])
def test_without_a_terminal_they_say_what_to_do(vllama: Vllama, words: list[str], hint: str) -> None:
    done = vllama(*words)
    assert done.returncode == 1
    assert hint in done.stderr


def test_top_prints_one_state_as_json(vllama: Vllama) -> None:
    done = vllama("top", "--json")
    assert (done.returncode, json.loads(done.stdout)) == (0, STATUS)
