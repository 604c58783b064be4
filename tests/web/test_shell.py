"""The shell: keys, a service that goes away, upgrades, missing routes, the keyboard, names with markup."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web import data


def test_a_key_is_asked_for_used_and_kept_for_the_tab_only(busy, visit):
    busy.key = "vk-right"
    one = visit(busy.url)
    one.expects = ("401",)
    page = one.page
    expect(page.get_by_role("dialog")).to_contain_text("an API key is needed")
    assert one.serious_findings() == []
    page.get_by_label("Key", exact=True).fill("vk-wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("an API key is needed")
    page.get_by_label("Key", exact=True).fill("vk-right")
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_text("Connected")).to_be_visible()
    expect(page.locator(".engine")).to_have_count(3)
    page.reload()
    expect(page.get_by_text("Connected")).to_be_visible()
    assert "vk-right" not in page.url
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    page.get_by_role("button", name="Key").click()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.get_by_role("dialog")).to_contain_text("an API key is needed")


def test_who_gives_no_key_reads_what_is_needed(busy, visit):
    busy.key = "vk-right"
    one = visit(f"{busy.url}/#/usage")
    one.expects = ("401",)
    expect(one.page.get_by_role("dialog")).to_be_visible()
    one.page.keyboard.press("Escape")
    expect(one.page.get_by_role("dialog")).to_have_count(0)
    expect(one.page.locator("main")).to_contain_text("an API key is needed")
    one.page.locator("main").get_by_role("button", name="Enter a key").click()
    expect(one.page.get_by_role("dialog")).to_be_visible()


def test_the_page_goes_on_by_itself_after_a_restart(busy, visit):
    one = visit(busy.url)
    one.expects = ("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET")
    expect(one.page.locator(".engine")).to_have_count(3)
    busy.interrupt()
    expect(one.page.get_by_text("The service does not answer. Trying again every 2 seconds.")).to_be_visible()
    expect(one.page.locator(".engine")).to_have_count(3)  # what was known stays
    busy.status = data.status(engines=[])
    busy.start()
    expect(one.page.get_by_text("Connected")).to_be_visible()
    expect(one.page.get_by_text("None is loaded.")).to_be_visible()
    expect(one.page.locator("#notices")).to_be_empty()


def test_a_page_left_open_over_an_upgrade_tells_to_reload(busy, visit):
    busy.version = "99.0"
    page = visit(busy.url).page
    expect(page.get_by_text("the service is now 99.0")).to_be_visible()
    with page.expect_navigation():
        page.get_by_role("button", name="Reload").click()


def test_a_service_without_these_routes_is_no_error_of_the_page(scripted, visit):
    one = visit(scripted.url)
    one.expects = ("404",)
    expect(one.page.get_by_text("This service does not offer its status.")).to_be_visible()
    for view in ("requests", "usage", "health"):
        one.page.goto(f"{scripted.url}/#/{view}")
        expect(one.page.get_by_text("This service does not offer that.")).to_be_visible()


def test_a_models_name_stays_text(busy, visit):
    status = data.status(notices=["<script>alert(1)</script>"])
    status["waiting"] = [{"model": data.MARKUP, "requests": 1, "why": "<b>because</b>"}]
    busy.status = status
    one = visit(busy.url)
    one.page.on("dialog", lambda dialog: one.errors.append(dialog.message))
    expect(one.page.locator("#notices")).to_contain_text("<script>alert(1)</script>")
    expect(one.page.locator("main")).to_contain_text(f"{data.MARKUP}: 1 request waits: <b>because</b>")
    for view in ("requests", "usage", "health"):
        one.page.goto(f"{busy.url}/#/{view}")
        expect(one.page.locator("main")).to_contain_text(data.MARKUP)
    assert one.page.locator("img[src=x]").count() == 0


def test_all_views_are_reached_by_keyboard(busy, visit):
    page = visit(busy.url).page
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    for name in ("vLLama", "Now", "Models", "Chat", "Requests"):
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name=name, exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Requests", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="Requests")).to_have_attribute("aria-current", "page")
    assert page.title() == "Requests · vLLama"


def test_a_hidden_tab_closes_its_stream_and_opens_it_again(busy, visit):
    page = visit(busy.url).page
    expect(page.get_by_text("Connected")).to_be_visible()
    page.clock.install()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.clock.run_for(6000)
    busy.until(lambda: busy.listeners == 0)
    page.evaluate("delete document.hidden")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    busy.until(lambda: busy.listeners == 1)


def test_an_unknown_view_is_the_first_one(busy, visit):
    page = visit(f"{busy.url}/#/constructor/%zz").page
    expect(page.get_by_role("heading", name="Now")).to_be_visible()
