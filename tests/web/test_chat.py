"""The view Chat, on a whole service with fake engines: what a reader types, sees, stops and keeps."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.component.conftest import engine_of
from tests.web.conftest import apart

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def ask(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send").click()


@pytest.fixture
def one(service, visit):
    opened = visit(f"{service.url}/#/chat/tinychat%3Alatest")
    expect(opened.page.get_by_role("combobox", name="Model", exact=True)).to_have_value("tinychat:latest")
    return opened


async def slow(service) -> None:
    await (await engine_of(service)).script(token_rate=10)


async def reset(service) -> None:
    await (await engine_of(service)).reset()


def test_a_question_is_answered_with_its_numbers_and_kept_in_the_browser(one):
    page = one.page
    ask(page, "count to 5")
    expect(page.get_by_role("article", name="Model", exact=True)).to_contain_text("1, 2, 3, 4, 5")
    expect(page.get_by_text("tokens/s")).to_be_visible()
    assert one.serious_findings() == []
    page.reload()
    expect(page.get_by_role("article", name="You")).to_contain_text("count to 5")
    expect(page.get_by_role("article", name="Model", exact=True)).to_contain_text("1, 2, 3, 4, 5")
    assert page.evaluate("document.cookie") == ""


def test_the_next_question_brings_the_conversation_along(one):
    page = one.page
    ask(page, "count to 3")
    expect(page.get_by_text("tokens/s")).to_have_count(1)
    with page.expect_request("**/api/chat") as sent:
        ask(page, "count to 4")
    assert [turn["role"] for turn in sent.value.post_data_json["messages"]] == ["user", "assistant", "user"]
    expect(page.get_by_text("tokens/s")).to_have_count(2)


def test_an_answer_can_be_stopped_and_asked_for_again(one, service):
    page = one.page
    ask(page, "count to 2")
    expect(page.get_by_text("tokens/s")).to_have_count(1)
    apart(slow(service))
    ask(page, "count to 500")
    expect(page.get_by_role("article", name="Model", exact=True).last).to_contain_text("1, 2")
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_text("Stopped.")).to_be_visible()
    apart(reset(service))
    page.get_by_role("button", name="Edit").last.click()
    expect(page.get_by_role("article", name="You")).to_have_count(1)
    ask(page, "count to 6")
    expect(page.get_by_role("article", name="Model", exact=True).last).to_contain_text("4, 5, 6")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.get_by_text("tokens/s")).to_have_count(2)
    expect(page.get_by_role("article", name="You")).to_have_count(2)


def test_the_system_prompt_and_parameters_are_sent(one):
    page = one.page
    page.get_by_text("System prompt and parameters").click()
    page.get_by_label("System prompt", exact=True).fill("Be brief.")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_label("Longest answer (tokens)").fill("4")
    with page.expect_request("**/api/chat") as sent:
        ask(page, "count to 50")
    body = sent.value.post_data_json
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["options"] == {"temperature": 0.3, "num_predict": 4}
    expect(page.get_by_text("cut at the limit")).to_be_visible()


def test_conversations_are_apart_exported_and_deleted(one, tmp_path: Path):
    page = one.page
    ask(page, "count to 3")
    expect(page.get_by_text("tokens/s")).to_have_count(1)
    page.get_by_role("button", name="New").click()
    expect(page.get_by_role("article")).to_have_count(0)
    ask(page, "count to 4")
    expect(page.get_by_text("tokens/s")).to_have_count(1)
    expect(page.get_by_role("combobox", name="Conversation", exact=True).locator("option")).to_have_count(2)
    found = {}
    for kind in ("Markdown", "JSON"):
        with page.expect_download() as done:
            page.get_by_role("button", name=f"Export as {kind}").click()
        done.value.save_as(tmp_path / kind)
        found[kind] = (tmp_path / kind).read_text()
    head = "# count to 4\n\nModel: tinychat:latest\n\n## You\n\ncount to 4\n\n## Model\n\n> "
    assert found["Markdown"].startswith(head)
    assert found["Markdown"].endswith("\n\n1, 2, 3, 4\n")
    assert [turn["role"] for turn in json.loads(found["JSON"])["messages"]] == ["user", "assistant"]
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("article", name="You")).to_contain_text("count to 3")


def test_the_answer_of_a_service_that_goes_away_says_so(busy, visit):
    busy.answers |= {
        "POST /api/chat": (503, {"error": "the server is shutting down"}),
    }
    one = visit(f"{busy.url}/#/chat")
    one.expects = ("503",)
    ask(one.page, "hello")
    expect(one.page.get_by_text("the server is shutting down")).to_be_visible()


def test_what_a_model_writes_can_not_run(busy, visit):
    text = "<img src=x onerror=alert(1)> **bold**"
    busy.answers |= {
        "POST /api/chat": {"message": {"role": "assistant", "content": text}, "done": True},
    }
    one = visit(f"{busy.url}/#/chat")
    one.page.on("dialog", lambda dialog: one.errors.append(dialog.message))
    ask(one.page, "hello")
    answer = one.page.get_by_role("article", name="Model", exact=True)
    expect(answer).to_contain_text("<img src=x onerror=alert(1)> bold")
    expect(answer.locator("strong")).to_have_text("bold")
    assert one.page.locator("img[src=x]").count() == 0


def test_an_answer_of_two_hundred_thousand_characters_is_shown(busy, visit):
    busy.answers |= {
        "POST /api/chat": {"message": {"role": "assistant", "content": "word " * 40_000}, "done": True},
    }
    one = visit(f"{busy.url}/#/chat")
    ask(one.page, "hello")
    expect(one.page.get_by_role("button", name="Regenerate")).to_be_visible()
    assert len(one.page.get_by_role("article", name="Model", exact=True).inner_text()) >= 199_000


def test_markdown_is_formatted_by_the_service(one):
    page = one.page
    html = page.evaluate(
        """async () => {
            const {rendered} = await import('./vllama/web/chat/rendered.js');
            const made = rendered();
            made.show('**bold**', true);
            while (!made.querySelector('strong')) await new Promise(requestAnimationFrame);
            return made.innerHTML;
        }"""
    )
    assert html == "<p><strong>bold</strong></p>\n"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_narrow_screen(service, visit, scheme):
    one = visit(f"{service.url}/#/chat", width=360, height=740, scheme=scheme)
    ask(one.page, "count to 30")
    expect(one.page.get_by_text("tokens/s")).to_be_visible()
    assert one.overflow() == 0
    assert one.serious_findings() == []


def test_a_model_that_sees_is_sent_a_picture_and_one_of_thirty_megabytes_is_refused(busy, visit, tmp_path: Path):
    busy.answers |= {
        "POST /api/show": {"capabilities": ["completion", "vision"]},
        "POST /api/chat": {"message": {"role": "assistant", "content": "A dot."}, "done": True},
    }
    page = visit(f"{busy.url}/#/chat").page
    file = page.get_by_label("Picture")
    huge = tmp_path / "huge.png"
    with huge.open("wb") as made:
        made.truncate(30 << 20)
    file.set_input_files(huge)
    expect(page.get_by_text("huge.png is larger than 20 MiB. Make it smaller first.")).to_be_visible()
    file.set_input_files({"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"})
    expect(page.get_by_text("notes.txt is not a picture.")).to_be_visible()
    file.set_input_files({"name": "dot.png", "mimeType": "image/png", "buffer": DOT})
    expect(page.get_by_text("1 attached")).to_be_visible()
    with page.expect_request("**/api/chat") as sent:
        ask(page, "What is this?")
    assert sent.value.post_data_json["messages"] == [
        {"role": "user", "content": "What is this?", "images": [base64.b64encode(DOT).decode()]}
    ]
    expect(page.get_by_role("img", name="A picture that you sent")).to_be_visible()
    expect(page.get_by_role("article", name="Model", exact=True)).to_contain_text("A dot.")


def test_a_model_that_does_not_see_is_offered_no_picture(one):
    expect(one.page.get_by_role("button", name="Send")).to_be_visible()
    expect(one.page.get_by_text("Picture", exact=True)).to_be_hidden()
