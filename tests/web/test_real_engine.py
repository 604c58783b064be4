"""The page of a service with real vLLM: a load is seen, then what an answer took."""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import expect

from tests.client import Client
from tests.real import LOAD_SECONDS

pytestmark = [pytest.mark.engine, pytest.mark.timeout(2 * LOAD_SECONDS)]


def test_a_load_and_an_answer_of_tinychat_are_seen(real, visit):
    async def chat() -> None:
        async with Client(real.url) as client:
            status, answer = await client.chat("Hello, who are you?", stream=False)
            assert status == 200, answer

    page = visit(real.url).page
    expect(page.get_by_text("Connected")).to_be_visible()
    engine = page.locator(".engine", has_text="tinychat")
    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(asyncio.run, chat())
        expect(engine.get_by_role("progressbar")).to_be_visible(timeout=60_000)
        expect(page.get_by_text("tinychat:latest: 1 request waits: ")).to_be_visible()
        asking.result()
    expect(engine).to_contain_text("ready", timeout=20_000)
    expect(engine).to_contain_text(re.compile(r"Context[\d,]+ tokens"))
    page.get_by_role("link", name="Requests").click()
    row = page.get_by_role("table", name="ended").locator("tbody tr").first
    for cell in ("tinychat", "/api/chat", "ok"):
        expect(row).to_contain_text(cell)
    expect(row.locator("[data-name=Generated]")).to_have_text(re.compile(r"^\d+$"))
    expect(row.locator("[data-name='First token']")).to_have_text(re.compile(r"\d (ms|s)$"))
