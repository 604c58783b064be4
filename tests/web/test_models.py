"""The view Models: what is here, loads, downloads, new models, and what needs a key."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.web import data


def test_models_are_listed_loaded_and_unloaded(service, visit):
    one = visit(f"{service.url}/#/models")
    page = one.page
    row = page.get_by_role("row").filter(has_text="other:latest")
    row.get_by_role("button", name="Load other:latest", exact=True).click()
    expect(row.get_by_text("ready")).to_be_visible()
    assert one.serious_findings() == []
    row.get_by_role("button", name="Unload").click()
    expect(row.get_by_role("button", name="Load other:latest", exact=True)).to_be_visible()


def test_a_models_details_are_shown(service, visit):
    page = visit(f"{service.url}/#/models").page
    page.get_by_role("row").filter(has_text="tinychat:latest").get_by_role("button", name="Details").click()
    expect(page.get_by_role("dialog")).to_contain_text("completion")
    page.get_by_role("dialog").get_by_role("button", name="Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_model_is_created_and_deleted_after_a_question(service, visit):
    one = visit(f"{service.url}/#/models")
    page = one.page
    page.get_by_label("Name", exact=True).fill("pirate")
    page.get_by_label("From the model").fill("tinychat")
    page.get_by_label("System prompt").fill("Say Arr.")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("pirate was created.")).to_be_visible()
    row = page.get_by_role("row").filter(has_text="pirate:latest")
    row.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("dialog")).to_contain_text("Delete pirate:latest?")
    page.get_by_role("button", name="Keep").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(row).to_have_count(0)


def test_a_pull_shows_its_bar_and_its_end(busy, visit):
    busy.answers |= {
        "GET /vllama/plan": {"fits": True, "verdict": "fits: about 12 chats at once with 8k"},
        "POST /api/pull": {"status": "downloading", "digest": "sha256:1", "total": 100, "completed": 40},
    }
    one = visit(f"{busy.url}/#/models")
    page = one.page
    page.get_by_label("A name of the catalogue, or org/name of the hub").fill("qwen3:8b")
    page.get_by_role("button", name="Does it fit?").click()
    expect(page.get_by_text("fits: about 12 chats at once with 8k")).to_be_visible()
    page.get_by_role("button", name="Pull", exact=True).click()
    expect(page.get_by_text("The connection ended. Pull it again: what was fetched is kept.")).to_be_visible()
    busy.answers["POST /api/pull"] = {"status": "success"}
    page.get_by_label("A name of the catalogue, or org/name of the hub").fill("qwen3:8b")
    page.get_by_role("button", name="Pull", exact=True).click()
    expect(page.get_by_role("progressbar", name="Download of qwen3:8b")).to_have_attribute("aria-valuenow", "100")
    page.get_by_role("link", name="Now").click()
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("progressbar", name="Download of qwen3:8b")).to_be_visible()
    page.get_by_role("button", name="Close").click()
    expect(page.get_by_role("progressbar", name="Download of qwen3:8b")).to_have_count(0)
    assert one.serious_findings() == []


def test_who_may_not_manage_is_asked_for_a_key(busy, visit):
    refusal = (403, {"error": "192.0.2.7 may not manage models: only the server's own machine may"})
    busy.answers["POST /api/pull"] = refusal
    one = visit(f"{busy.url}/#/models")
    one.expects = ("403",)
    page = one.page
    expect(page.get_by_role("row").filter(has_text=data.MARKUP)).to_have_count(1)
    page.get_by_label("A name of the catalogue, or org/name of the hub").fill("qwen3:8b")
    page.get_by_role("button", name="Pull", exact=True).click()
    expect(page.get_by_text("may not manage models")).to_be_visible()
    page.get_by_role("button", name="Enter a key").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_it_fits_a_narrow_screen(service, visit):
    one = visit(f"{service.url}/#/models", width=360, height=740, scheme="dark")
    expect(one.page.get_by_role("row").filter(has_text="tinychat:latest")).to_have_count(1)
    assert one.overflow() == 0
    assert one.serious_findings() == []
