"""What each view shows, compared with what the service said; how it looks to axe-core, and on a narrow screen."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import expect

from tests.web import data

VIEWS = ("now", "models", "chat", "requests", "usage", "health")


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_fits_every_screen_and_axe_finds_nothing_serious(busy, visit, view):
    one = visit(f"{busy.url}/#/{view}")
    expect(one.page.get_by_role("main")).to_contain_text(data.MARKUP)
    assert one.serious_findings() == []
    for width in (1100, 1000, 700, 360):
        one.page.set_viewport_size({"width": width, "height": 800})
        assert one.overflow() == 0, width
    one.page.emulate_media(color_scheme="dark")
    assert one.serious_findings() == []


def test_now_shows_the_machine_the_engines_and_who_waits(busy, visit):
    page = visit(busy.url).page
    expect(page.get_by_text("vLLama 0.1.0 · vLLM 0.32.1 · up 1 d 1 h")).to_be_visible()
    gpu = page.locator(".device", has_text="NVIDIA H200")
    for part in (
        "71 % busy · 412 W · 61 °C",
        "Weights 17 GiB",
        "KV cache 8 GiB",
        "Other programs 3 GiB",
        "Free 108 GiB",
    ):
        expect(gpu).to_contain_text(part)
    expect(page.locator(".device", has_text="16 cores")).to_contain_text("Free 88 GiB")
    ready = page.locator(".engine", has_text="qwen3:8b")
    for fact in ("3 of 16 at once", "413 tokens/s", "32,768 tokens", "GPU 0", "in 4 min", "KV cache 42 % used"):
        expect(ready).to_contain_text(fact)
    expect(page.locator(".engine", has_text=data.MARKUP)).to_contain_text("Use a smaller context.")
    expect(page.get_by_text("smollm2:135m: 2 requests wait: the model is loading")).to_be_visible()


def test_a_loads_percent_moves(busy, visit):
    page = visit(busy.url).page
    bar = page.get_by_role("progressbar")
    expect(bar).to_have_attribute("aria-valuenow", "64")
    status = data.status()
    status["engines"][1]["percent"] = 81
    busy.emit("status", status)
    expect(bar).to_have_attribute("aria-valuenow", "81")


def test_lines_show_the_newest_point_and_leave_out_what_is_unknown(busy, visit):
    page = visit(busy.url).page
    chart = page.locator(".chart", has_text="Time to the first token")
    assert chart.locator("path").first.get_attribute("d").count("M") == 2  # a gap where nobody asked
    busy.emit("history", {**data.point(time.time(), 0), "ttft_p50": 0.777})
    expect(chart.locator("figcaption")).to_contain_text("777 ms")
    expect(chart.get_by_role("img")).to_have_attribute(
        "aria-label", "Time to the first token, now: p50 777 ms, p95 500 ms"
    )


def test_the_value_at_the_pointer_is_shown(busy, visit):
    page = visit(busy.url).page
    chart = page.locator(".chart", has_text="Tokens/s")
    expect(chart.locator(".ends")).to_contain_text("15 min ago")
    expect(page.locator(".engine")).to_have_count(3)  # nothing moves from here on
    chart.scroll_into_view_if_needed()
    box = chart.locator("svg").bounding_box()
    page.mouse.move(box["x"] + 1, box["y"] + 40)
    expect(chart.locator("figcaption")).to_contain_text("210")
    expect(chart.locator(".ends")).to_contain_text("15 min ago15 min ago")


def test_requests_are_listed_with_their_numbers(busy, visit):
    page = visit(f"{busy.url}/#/requests").page
    live, ended = page.get_by_role("table", name="being answered"), page.get_by_role("table", name="ended")
    expect(live.get_by_role("row", name="qwen3:8b")).to_contain_text("decode")
    row = ended.get_by_role("row").nth(1)
    for cell in ("ann@example.org", "1,204", "1,024", "311", "4 ms", "214 ms", "102", "3.3 s", "ok"):
        expect(row).to_contain_text(cell)
    expect(ended.locator("tbody tr")).to_have_count(6)
    page.get_by_label("Only failed ones").check()
    expect(ended.locator("tbody tr")).to_have_count(1)
    page.get_by_label("Only failed ones").uncheck()
    page.get_by_label("Only with these words").fill("cancelled ANN")
    expect(ended.locator("tbody tr")).to_have_count(1)


def test_a_request_that_ends_appears_at_once(busy, visit):
    page = visit(f"{busy.url}/#/requests").page
    expect(page.locator("tbody tr")).to_have_count(8)
    busy.answers["GET /vllama/requests"]["live"] = []
    busy.emit("request", {**data.requests()["ended"][0], "id": "a1", "model": "new:1b"})
    expect(page.get_by_role("table", name="ended").locator("tbody tr").first).to_contain_text("new:1b")
    expect(page.get_by_text("None at the moment.")).to_be_visible()


def test_a_manager_cancels_a_request(busy, visit):
    page = visit(f"{busy.url}/#/requests").page
    busy.answers["DELETE /vllama/requests/a1"] = {}
    page.get_by_role("button", name="Cancel the request of qwen3:8b").click()
    expect(page.locator("main")).to_contain_text("6 of the last 6")
    busy.until(lambda: busy.paths("DELETE") == ["/vllama/requests/a1"])


def test_who_may_not_cancel_is_asked_for_a_key(busy, visit):
    busy.answers["DELETE /vllama/requests/a1"] = (403, {"error": "only managers may cancel"})
    one = visit(f"{busy.url}/#/requests")
    one.expects = ("403",)
    one.page.get_by_role("button", name="Cancel the request of qwen3:8b").click()
    expect(one.page.get_by_text("only managers may cancel")).to_be_visible()
    one.page.get_by_role("button", name="Enter a key").click()
    expect(one.page.get_by_label("Key", exact=True)).to_be_focused()


def test_usage_has_sums_and_is_asked_anew_for_another_question(busy, visit):
    page = visit(f"{busy.url}/#/usage").page
    for text in ("1,234", "1 h 25 min", "0.528 kWh", "3.21 EUR"):
        expect(page.locator("tbody tr").first).to_contain_text(text)
    for text in ("Total", "1,851", "3,000,000", "1.06 kWh", "6.42 EUR"):
        expect(page.locator("tfoot")).to_contain_text(text)
    expect(page.get_by_text("2 requests are missing here")).to_be_visible()
    busy.answers["GET /vllama/usage"] = data.usage("day")
    page.get_by_label("By").select_option("day")
    page.get_by_label("During").select_option("30d")
    expect(page.locator("tbody tr").first).to_contain_text("2026-11-30")
    assert busy.paths()[-1] == "/vllama/usage?by=day&since=30d"


def test_a_persons_name_is_text_and_no_markup(busy, visit):
    page = visit(f"{busy.url}/#/usage").page
    busy.answers["GET /vllama/usage"] = data.usage("person")
    page.get_by_label("By").select_option("person")
    expect(page.locator("tbody tr").first).to_contain_text(data.MARKUP)
    assert busy.paths()[-1] == "/vllama/usage?by=person&since=7d"


def test_usage_without_prices_has_no_column_of_costs_and_the_reason_of_a_gap_is_told(busy, visit):
    free = data.usage("month") | {"problem": "the usage can't be recorded: database or disk is full", "lost": 0}
    free["rows"] = [{name: value for name, value in row.items() if name != "money"} for row in free["rows"]]
    busy.answers["GET /vllama/usage"] = {name: value for name, value in free.items() if name != "currency"}
    page = visit(f"{busy.url}/#/usage").page
    page.get_by_label("By").select_option("month")
    expect(page.locator("tbody tr").first).to_contain_text("2026-11")
    expect(page.get_by_text("Energy")).to_be_visible()
    expect(page.get_by_text("Cost")).to_have_count(0)
    expect(page.get_by_text("database or disk is full")).to_be_visible()
    expect(page.get_by_text("requests are missing")).to_have_count(0)
    busy.answers["GET /vllama/usage"] |= {"rows": []}
    page.get_by_label("During").select_option("1d")
    expect(page.get_by_text("Nothing was used in this time.")).to_be_visible()
    expect(page.get_by_text("database or disk is full")).to_be_visible()


def test_usage_is_downloaded_as_csv_with_the_key_of_the_tab(busy, visit):
    page = visit(f"{busy.url}/#/usage").page
    page.evaluate("sessionStorage.setItem('vllama-key', 'k1')")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download as CSV").click()
    assert download.value.suggested_filename == "usage-by-model.csv"
    assert busy.asked[-1] == ("GET", "/vllama/usage?by=model&since=7d&format=csv", "k1")


def test_health_puts_errors_first_and_says_what_is_left_of_budgets(busy, visit):
    page = visit(f"{busy.url}/#/health").page
    expect(page.locator(".checks").first.locator(".badge")).to_have_text(["error", "warning", "ok"])
    expect(page.get_by_text("Delete models.")).to_be_visible()
    expect(page.locator("article").first).to_contain_text("ttft within 1 s for 95 % of requests, over 30 d")
    expect(page.locator("article").first).to_contain_text("40 % left")
    expect(page.locator("article").nth(1)).to_contain_text("overspent by 100 %")
    expect(page.locator("article").nth(1)).to_contain_text("5m 14.6")
    expect(page.get_by_text("out of memory")).to_be_visible()


def test_an_idle_service_says_so_in_words(busy, visit):
    busy.status = data.status(engines=[], waiting=[])
    busy.answers |= {
        "GET /vllama/history": {"step": 10, "points": []},
        "GET /vllama/requests": {"live": [], "ended": []},
        "GET /vllama/usage": {**data.usage(), "rows": []},
        "GET /vllama/health": {"checks": [], "failures": [], "slos": [], "versions": {}},
    }
    page = visit(busy.url).page
    expect(page.get_by_text("None is loaded.")).to_be_visible()
    expect(page.get_by_text("nothing yet").first).to_be_visible()
    page.get_by_role("link", name="Requests").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_text("Nothing was used in this time.")).to_be_visible()
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("None is configured.")).to_be_visible()
