"""``vllama load``: what it asks the service for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from tests.fakes.service import SHOW, Service, serving
from vllama.cli.load import command
from vllama.errors import NotFound


@pytest.fixture
def service() -> Iterator[Service]:
    with serving() as running:
        yield running


def load(service: Service, *arguments: str) -> Result:
    return CliRunner().invoke(command, ["--host", service.host, *arguments])


@pytest.mark.parametrize(
    ("keep", "sent"), [("30m", "30m"), ("forever", "-1s"), ("-1", "-1s"), ("90", "90s"), ("1h30m", "1h30m")]
)
def test_models_are_loaded_and_kept(service: Service, keep: str, sent: str) -> None:
    done = load(service, "mini", "other", "--keep", keep)
    assert (done.exit_code, done.stdout) == (0, "loaded 'mini'\nloaded 'other'\n")
    wanted = {"messages": [], "stream": False, "keep_alive": sent}
    assert service.bodies("/api/chat") == [{"model": name, **wanted} for name in ("mini", "other")]


def test_without_keep_the_service_decides(service: Service) -> None:
    load(service, "mini")
    assert "keep_alive" not in service.bodies("/api/chat")[0]


def test_a_model_for_embeddings_is_loaded_by_its_own_route(service: Service) -> None:
    service.fixed["/api/show"] = (200, {**SHOW, "capabilities": ["embedding"]})
    service.fixed["/api/embed"] = (200, {"embeddings": []})
    assert load(service, "vectors", "--keep", "forever").exit_code == 0
    assert service.bodies("/api/embed") == [{"model": "vectors", "input": [], "keep_alive": "-1s"}]


def test_what_is_no_duration_is_refused_before_anything_is_asked(service: Service) -> None:
    done = load(service, "mini", "--keep", "soon")
    assert (done.exit_code, "'soon' is not a duration" in done.output, service.asked) == (2, True, [])


def test_a_model_that_is_missing_is_not_pulled(service: Service) -> None:
    service.fixed["/api/show"] = (404, {"error": "model 'gone' not found"})
    error = load(service, "gone").exception
    assert isinstance(error, NotFound)
    assert "vllama pull gone" in error.hint
    assert service.bodies("/api/pull") == []
