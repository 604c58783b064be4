"""One reader and one real engine: keys, a pull from a hub, a load, a chat that is stopped, a restart of the service."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.fakes.hub import Hub, running
from tests.fakes.model_dir import TINYCHAT
from tests.hostile.proxies import free_port
from tests.installed_engine import engine_prefix
from tests.live import LiveService
from tests.real import LOAD_SECONDS
from tests.smollm2 import smollm2_dir
from vllama.config.keys import make_key, write_keys

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2 * LOAD_SECONDS)]
LOADED = 1000.0 * LOAD_SECONDS
WEIGHTS = "model.safetensors"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with running(Hub("acme/mini", {file.name: file.read_bytes() for file in TINYCHAT.iterdir()})) as found:
        yield found


@pytest.fixture
def secrets() -> dict[str, str]:
    """What is typed into the page, by the key's name; filled in by ``guarded``."""
    return {}


@pytest.fixture
def guarded(hub: Hub, secrets: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[LiveService]:
    """A service with real vLLM that nobody uses without a key; its address stays over a restart."""
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    folder = Path(tempfile.mkdtemp(prefix="vl-"))  # unix sockets end at 107 bytes
    keys = []
    for scope in ("use", "manage"):
        key, secrets[scope] = make_key(f"for {scope}", scope, "2026-12-01")
        keys.append(key)
    write_keys(folder / "keys", tuple(keys))
    paths = {"state": folder / "state", "cache": engine_prefix().parent / "cache", "runtime": folder / "run"}
    service = LiveService(
        folder,
        {
            "server": {"port": free_port(), "keys": "everyone", "keys_file": str(folder / "keys")},
            "paths": {name: str(path) for name, path in paths.items()},
            "engine": {"prefix": str(engine_prefix())},
            "models": {"smollm2": {"source": str(smollm2_dir()), "settings": {"max_model_len": 2048}}},
        },
    )
    service.start()
    yield service
    service.stop()
    shutil.rmtree(folder)


def go(page: Page, view: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=view, exact=True).click()


def give(page: Page, secret: str) -> None:
    page.get_by_label("Key", exact=True).fill(secret)
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


def test_a_reader_gets_along_with_everything_the_page_offers(guarded, hub, secrets, visit):
    one = visit(guarded.url)
    one.expects = ("401", "403", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
    page = one.page
    expect(page.get_by_role("dialog")).to_contain_text("key")
    give(page, secrets["use"])
    expect(page.get_by_text("None is loaded.")).to_be_visible()

    # who may use models may not pull one; who may manage sees the verdict first, then how far it is
    go(page, "Models")
    expect(page.get_by_role("row").filter(has_text="smollm2:latest")).to_have_count(1)
    wanted = page.get_by_label("A name of the catalogue, or org/name of the hub")
    wanted.fill("acme/mini")
    page.get_by_role("button", name="Pull", exact=True).click()
    page.get_by_role("main").get_by_role("button", name="Enter a key").click()
    give(page, secrets["manage"])
    wanted.fill("acme/mini")
    page.get_by_role("button", name="Does it fit?").click()
    expect(page.get_by_text(re.compile("fits: about"))).to_be_visible(timeout=30_000)
    size = len(hub.files[WEIGHTS])
    hub.held[WEIGHTS] = size // 2
    page.get_by_role("button", name="Pull", exact=True).click()
    bar = page.get_by_role("progressbar", name="Download of acme/mini")
    expect(bar).to_have_attribute("aria-valuenow", re.compile(r"^[4-6]\d$"), timeout=60_000)
    go(page, "Now")
    go(page, "Models")
    expect(bar).to_be_visible()
    hub.release.set()
    expect(bar).to_have_attribute("aria-valuenow", "100", timeout=60_000)
    pulled = page.get_by_role("row").filter(has_text="acme/mini")
    expect(pulled).to_have_count(1)
    pulled.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(pulled).to_have_count(0)

    # a load is seen as it goes
    page.get_by_role("button", name="Load smollm2:latest", exact=True).click()
    go(page, "Now")
    engine = page.locator(".engine", has_text="smollm2")
    expect(engine.get_by_role("progressbar")).to_be_visible(timeout=60_000)
    expect(engine).to_contain_text("ready", timeout=LOADED)

    # answers: one whole, one stopped
    go(page, "Chat")
    ask(page, "What is the capital of France? Answer in one short sentence.")
    expect(page.get_by_text("tokens/s")).to_have_count(1, timeout=60_000)
    page.get_by_role("button", name="New").click()
    ask(page, "Write a very long story about a ship, its captain and the sea, with many chapters.")
    answer = page.get_by_role("article", name="Model", exact=True)
    expect(answer).to_contain_text(re.compile(r"\w+ \w+ \w+"), timeout=60_000)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    go(page, "Requests")
    ended = page.get_by_role("table", name="ended").locator("tbody tr")
    expect(ended.filter(has_text="/api/chat").first).to_contain_text("left")
    expect(ended.filter(has_text="/api/chat").nth(1)).to_contain_text("ok")

    # the service goes and comes back: the page, its key and the conversation are still there
    guarded.stop()
    expect(page.get_by_text("The service does not answer. Trying again every 2 seconds.")).to_be_visible()
    guarded.start()
    expect(page.get_by_text("Connected")).to_be_visible(timeout=20_000)
    go(page, "Chat")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(answer).to_contain_text(re.compile(r"\w+ \w+ \w+"), timeout=LOADED)
    page.get_by_role("button", name="Stop").click()
    assert one.serious_findings() == []
