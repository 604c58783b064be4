"""Fixtures of the page's ring: one Chromium for each process, services for it to talk to, pages that are watched.

Playwright's loop runs in the thread of the tests: tests here are no coroutines, and ``apart`` runs one elsewhere.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted as scripted_model
from tests.live import LiveService
from tests.web import data
from tests.web.scripted import Scripted
from tests.web.watched import Watched

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium."""
    assert CHROMIUM, "the tests of the page need Chromium: apt install chromium, dnf install chromium"
    with sync_playwright() as playwright:
        # its sandbox needs user namespaces, and root may not use it
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield launched
        launched.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """``visit(url, width=1440, scheme="light")``: the page, open in a window without history.

    At the end of the test it has logged no error but those that the test ``expects``, and asked nobody else.
    """
    opened: list[Watched] = []

    def visit(url: str, **window: Any) -> Watched:
        opened.append(Watched(browser, url, **window))
        return opened[-1]

    yield visit
    for one in opened:
        one.close()
    for one in opened:
        one.check()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """A service by script, up."""
    service = Scripted()
    service.start()
    yield service
    service.stop()


@pytest.fixture
def busy(scripted: Scripted) -> Scripted:
    """The scripted service with all data of ``data``."""
    scripted.status = data.status()
    scripted.answers = data.answers()
    return scripted


@pytest.fixture(scope="module")
def service() -> Iterator[LiveService]:
    """The whole service from the code on fake engines, up: models ``tinychat`` and ``other``."""
    folder = Path(tempfile.mkdtemp(prefix="vl-"))  # unix sockets end at 107 bytes
    live = LiveService(
        folder,
        {
            "engine": {"python": str(interpreter.write(folder)), "probe_interval": "250ms"},
            "models": {name: {"source": str(scripted_model(folder, name))} for name in ("tinychat", "other")},
        },
    )
    live.start()
    yield live
    live.stop()
    shutil.rmtree(folder)


def apart(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end in another thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()
