"""The page of the whole service, on fake engines: what it shows is what happens."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.client import Client
from tests.web.conftest import apart


async def chat(url: str, text: str) -> None:
    async with Client(url) as client:
        status, answer = await client.chat(text)
        assert status == 200, answer


def test_a_request_loads_an_engine_and_is_listed(service, visit):
    page = visit(service.url).page
    expect(page.get_by_text("None is loaded.")).to_be_visible()
    expect(page.locator(".device", has_text="Memory")).to_contain_text("Free")
    apart(chat(service.url, "Hi"))
    expect(page.locator(".engine", has_text="tinychat")).to_contain_text("ready")
    page.get_by_role("link", name="Requests").click()
    row = page.get_by_role("table", name="ended").locator("tbody tr").first
    for cell in ("tinychat", "/api/chat", "127.0.0.1", "ok"):
        expect(row).to_contain_text(cell)
    apart(chat(service.url, "Hi again"))
    expect(page.get_by_role("table", name="ended").locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="Usage").click()
    during = page.get_by_label("During")
    total = page.get_by_role("table", name="Usage").locator("tfoot [data-name=Requests]")
    while total.all_text_contents() != ["2"]:  # written within a second; the test's own limit of time holds here
        during.select_option("1d" if during.input_value() == "7d" else "7d")
        page.wait_for_timeout(200)
    expect(page.get_by_role("table", name="Usage")).to_contain_text("tinychat")


def test_no_view_needs_anything_but_the_service(service, visit):
    one = visit(service.url)
    expect(one.page.get_by_text("Connected")).to_be_visible()
    for name in ("Models", "Chat", "Requests", "Usage", "Health", "Now"):
        one.page.get_by_role("navigation").get_by_role("link", name=name, exact=True).click()
        expect(one.page.get_by_role("heading", level=1)).to_contain_text(name)
    expect(one.page.locator("main")).to_contain_text(re.compile("up \\d"))
