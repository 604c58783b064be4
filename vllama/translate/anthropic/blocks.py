"""The words and pictures of Anthropic's content blocks: results of tools, documents, search results. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.images import check_base64
from vllama.translate.passages import joined
from vllama.translate.pictures import NOT_SEEN

# what carries words in blocks of any type, known or not, in the order in which they are read
_WORDS: Final = ("title", "url", "context", "text", "stdout", "stderr", "error_code", "tool_name", "content")
_DEEPEST: Final = 16
_SILENT: Final = ("redacted_thinking", "container_upload")
_UNREADABLE: Final = "[a document that can't be read here: only text is]"


def words(block: Any, depth: int = 0) -> str:
    """What a block says; empty for one without words. Pictures say nothing."""
    if isinstance(block, str):
        return block
    if depth > _DEEPEST:
        return ""
    if isinstance(block, list):
        return joined(words(part, depth + 1) for part in block)
    if not isinstance(block, Mapping) or block.get("type") in _SILENT:
        return ""
    if block.get("type") == "image":
        return "" if _image(block) else NOT_SEEN
    said = [words(block.get(key), depth + 1) for key in _WORDS]
    source = block.get("source")
    if isinstance(source, str):  # of a search result: its address
        said.insert(1, source)
    elif block.get("type") == "document":
        said.append(_document(source, depth + 1))
    return joined(said)


def pictures(blocks: Any) -> tuple[str, ...]:
    """The images among the parts of a tool's result; ``words`` mentions one that can't be had."""
    found = [_image(part) for part in blocks if isinstance(part, dict)] if isinstance(blocks, list) else []
    return tuple(image for image in found if image)


def picture(block: Mapping[str, Any]) -> str:
    """The base64 text of an image block; nothing is ever fetched. Raises BadRequest."""
    source = block.get("source")
    if not isinstance(source, dict):
        raise BadRequest("invalid image source")
    if source.get("type") != "base64":
        kind = excerpt(given if isinstance(given := source.get("type"), str) else "")
        raise BadRequest(f"invalid image source type: {kind}. Only base64 images are supported.")
    data = source.get("data")
    try:
        return check_base64(data if isinstance(data, str) else "")
    except ValueError as error:
        raise BadRequest(f"invalid base64 image data: {error}") from None


def _image(part: Mapping[str, Any]) -> str:
    """The base64 text of an image; empty for another part, and for an image that can't be had."""
    try:
        return picture(part) if part.get("type") == "image" else ""
    except BadRequest:
        return ""


def system_text(system: Any) -> Sequence[str]:
    """The texts of a ``system`` field: one, or one for each block."""
    if isinstance(system, str):
        return [system]
    blocks = system if isinstance(system, list) else []
    return [words(block) for block in blocks if isinstance(block, dict)]


def _document(source: Any, depth: int) -> str:
    if not isinstance(source, Mapping):
        return ""
    if source.get("type") == "text":
        return words(source.get("data"), depth)
    if source.get("type") == "content":
        return words(source.get("content"), depth)
    return _UNREADABLE
