"""What ``vllama serve`` shows on a terminal."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.service.views import view
from tests.unit.supervisor.worlds import model
from vllama.cli.startup import Startup
from vllama.config.schema import Access
from vllama.errors import LoadFailed
from vllama.observe.news import EngineChanged, Listens, Preloaded


class Shown:
    """A terminal's last line and what was said above it."""

    def __init__(self) -> None:
        self.line = ""
        self.said: list[str] = []

    def status(self, text: str) -> None:
        self.line = text

    def say(self, text: str) -> None:
        self.said.append(text)


def test_each_engine_that_starts_is_shown_until_it_is_ready_or_has_failed():
    shown = Shown()
    startup = Startup(shown, named=False, access="lan")
    startup.take(EngineChanged(view("mini", "starting", "loading weights")))
    startup.take(EngineChanged(view("other", "planning", "planning")))
    startup.take(EngineChanged(view("mini", "warming", "first token")))
    assert shown.line == "mini:latest: first token; other:latest: planning"
    startup.take(EngineChanged(view("mini", "ready")))
    assert shown.line == "other:latest: planning"
    startup.take(EngineChanged(view("other", "broken", cause="no such flag")))
    assert (shown.line, shown.said) == ("", ["other:latest: no such flag"])


def test_an_engine_that_gets_another_models_name_while_it_starts_is_shown_once():
    shown = Shown()
    startup = Startup(shown, named=False, access="lan")
    base, tuned = view("base", "planning", "planning"), view("tuned", "ready")
    startup.take(EngineChanged(base))
    startup.take(EngineChanged(replace(tuned, model=replace(tuned.model, path=base.model.path))))
    assert shown.line == ""


def test_the_first_request_to_try_goes_to_the_address_in_use():
    shown = Shown()
    startup = Startup(shown, named=True, access="lan")
    startup.take(Listens("::1", 11434))
    startup.take(Preloaded(model("mini"), None))
    assert "listens on http://[::1]:11434 " in shown.said[0]
    assert shown.said[1].startswith("mini is ready in ")
    assert shown.said[2].startswith("  curl http://[::1]:11434/api/chat -d ")
    assert shown.said[2].endswith('"options": {"num_predict": 64}, "think": false, "stream": false}\'')
    startup.take(Preloaded(model("tinychat"), None))
    assert "What is the capital of France?" in shown.said[4]  # the toy knows little else, and comes to an end
    assert "num_predict" not in shown.said[4]


@pytest.mark.parametrize(
    ("host", "access", "served"),
    [
        ("0.0.0.0", "lan", ["It serves this machine and the local networks (server.access)."]),
        ("192.168.1.3", "any", ["It serves everybody who reaches this port (server.access)."]),
        ("::", "loopback", ["It serves this machine only (server.access)."]),
        ("127.0.0.1", "any", []),
    ],
)
def test_it_says_whom_it_serves_where_others_can_reach_it(host: str, access: Access, served: list[str]):
    shown = Shown()
    Startup(shown, named=True, access=access).take(Listens(host, 11434))
    assert shown.said[1:] == served


def test_a_model_that_could_not_be_loaded_is_named_with_its_reason():
    shown = Shown()
    Startup(shown, named=False, access="lan").take(
        Preloaded(model("mini"), LoadFailed("no such flag", hint="correct it"))
    )
    assert shown.said == ["mini could not be loaded: no such flag", "  correct it"]


def test_a_closed_terminal_is_no_error():
    class Gone(Shown):
        def status(self, text: str) -> None:
            raise OSError

        def say(self, text: str) -> None:
            raise OSError

    startup = Startup(Gone(), named=False, access="lan")
    startup.take(Listens("127.0.0.1", 1))
    startup.take(EngineChanged(view("mini", "starting")))
    startup.stopped()
