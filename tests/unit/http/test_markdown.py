"""What becomes of the Markdown that models write: formatted, and harmless whatever it holds."""

from __future__ import annotations

import io
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.http.markdown import to_html

TAGS = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s",
    "span", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
PARTS = (
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[a](javascript:alert(1))", "[b](JaVaScRiPt:alert(1))",
    "![c](https://example.org/x.png)", "[d](data:text/html,x)", "<javascript:alert(1)>", "[e]: javascript:x\n\n[e]",
    "[f](https://example.org 'x\" onclick=\"alert(1)')", "```html\n<script>x</script>\n```", "```\" onclick=x\ny\n```",
    "|a|b|\n|-|-|\n|<b>x</b>|[z](vbscript:x)|", "> ", "- ", "\n\n", "`", "&#106;avascript:", "<style>*{}</style>",
    "[g](&#106;avascript:alert(1))", "[h](java\nscript:alert(1))",
)  # fmt: skip


class Found(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def check(html: str) -> None:
    for tag, attributes in Found(html).tags:
        assert tag in TAGS, tag
        assert {*attributes} <= {"href", "rel", "target", "title", "class", "style", "start"}, attributes
        if "style" in attributes:
            assert attributes["style"] in {"text-align:left", "text-align:right", "text-align:center"}
        if tag == "a":
            assert (attributes["href"] or "").lower().startswith(("http:", "https:", "mailto:"))
            assert attributes["rel"] == "noopener noreferrer"


@given(st.lists(st.sampled_from(PARTS) | st.text(max_size=20), max_size=12).map("".join))
def test_nothing_that_a_model_writes_runs_or_is_fetched(text):
    check(to_html(text))


@pytest.mark.parametrize("text", PARTS)
def test_known_tricks_become_text(text):
    check(to_html(text))


def test_markup_becomes_what_it_means():
    html = to_html("# Title\n\nSome **bold** text and `code`.\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n- x\n")
    for part in ("<h1>Title</h1>", "<strong>bold</strong>", "<code>code</code>", "<td>1</td>", "<li>x</li>"):
        assert part in html


def test_a_link_opens_elsewhere_and_tells_nobody_where_it_came_from():
    assert '<a href="https://example.org" rel="noopener noreferrer" target="_blank">x</a>' in to_html(
        "[x](https://example.org)"
    )


def test_code_gets_classes_by_its_language_and_none_without():
    assert '<span class="k">def</span>' in to_html("```python\ndef f(): pass\n```")
    assert "<span" not in to_html("```nosuchlanguage\ndef f(): pass\n```")


async def test_the_route_formats_aside_and_says_what_is_wrong(server):
    async def post(data: bytes):
        async with server.session.post(server.base + "/vllama/markdown", data=io.BytesIO(data)) as answer:
            return answer.status, await answer.text()

    assert await post(b"**x**") == (200, "<p><strong>x</strong></p>\n")
    assert server.aside.jobs == ["to_html"]
    assert (await post(b"\xff"))[0] == 400
    assert (await post(b"x" * (1 << 20) + b"x"))[0] == 413
    assert (await post(b"word " * 40_000))[0] == 200
