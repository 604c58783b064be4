"""Makes HTML of the Markdown that models write. Pure.

What a model wrote may hold anything: its HTML is shown as text, links lead to http, https and mail only, and there are
no pictures, which a browser would fetch from somewhere. So the result needs no further cleaning.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

_SCHEMES: Final = frozenset({"http", "https", "mailto"})
_HIGHLIGHTED: Final = 50_000
"""Characters of a block of code that get colours."""


def to_html(text: str) -> str:
    """A fragment without scripts, handlers and styles; code has Pygments' classes."""
    found: str = _renderer().render(text)
    return found


@cache
def _renderer() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False, "highlight": _coloured})
    made.enable(["table", "strikethrough"]).disable("image")
    made.validateLink = _is_harmless  # type: ignore[method-assign]  # that is how the library wants it
    made.add_render_rule("link_open", _link)
    return made


def _is_harmless(url: str) -> bool:
    try:
        return urlsplit(url).scheme.lower() in _SCHEMES
    except ValueError:
        return False


def _link(renderer: RendererHTML, tokens: Sequence[Token], at: int, options: Any, env: MutableMapping[str, Any]) -> str:
    tokens[at].attrSet("rel", "noopener noreferrer")
    tokens[at].attrSet("target", "_blank")
    return renderer.renderToken(tokens, at, options, env)


def _coloured(code: str, language: str, _: str) -> str:
    """Empty: the library then escapes the code itself."""
    if not language or len(code) > _HIGHLIGHTED:
        return ""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    found: str = highlight(code, lexer, HtmlFormatter(nowrap=True))
    return found
