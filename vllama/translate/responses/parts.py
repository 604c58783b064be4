"""The parts of a Responses item: texts, pictures, files. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.openai_parts import file_text, image_data
from vllama.translate.passages import joined
from vllama.translate.pictures import NOT_SEEN

_TEXTS: Final = ("text", "refusal", "logs", "stdout", "stderr")
_PICTURES: Final = frozenset({"input_image", "computer_screenshot"})
_UNREADABLE: Final = "[a file that can't be read here: only text is]"

Content = tuple[str, tuple[str, ...]]


def content_of(content: Any, where: str, *, own: bool) -> Content:
    """Text and images of a message: a string, None, or a list of parts. Raises BadRequest for what can't be shown.

    ``own``: the model's own answer, whose parts are put together as it wrote them.
    """
    if content is None or isinstance(content, str):
        return content or "", ()
    texts, images = [], []
    for index, part in enumerate(content):
        kind = string(part, "type") if isinstance(part, Mapping) else ""
        if kind in _PICTURES:
            images += _image(part)
        elif kind == "input_file":
            if (text := file_text(part)) is None:
                raise BadRequest("file inputs are not currently supported")
            texts.append(text)
        elif isinstance(part, Mapping) and any(isinstance(part.get(key), str) for key in _TEXTS):
            texts.append(words(part))
        elif not own:
            raise BadRequest(f"{where}content[{index}]: unknown content type: {excerpt(kind)}")
    return ("".join(texts) if own else joined(texts)), tuple(images)


def result_of(output: Any) -> Content:
    """Text and images of a tool's result: words where there are some, else the JSON that it is."""
    parts = output if isinstance(output, list) else [output]
    images: list[str] = []
    texts = [words(output)]
    for part in parts:
        if string(part, "type") in _PICTURES:
            try:
                images += _image(part)
            except BadRequest:
                texts.append(NOT_SEEN)
    text = joined(texts)
    if not text and not images and output not in (None, "", [], {}):
        text = orjson.dumps(output).decode()
    return text, tuple(images)


def words(value: Any) -> str:
    """The words of a text, a part or a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return joined(words(part) for part in value)
    if not isinstance(value, Mapping):
        return ""
    if value.get("type") == "input_file":
        return file_text(value) or _UNREADABLE
    inner = value.get("content")
    said = [value.get("filename"), *(value.get(key) for key in _TEXTS), inner if isinstance(inner, str) else None]
    return joined(text for text in said if isinstance(text, str))


def string(item: Any, key: str) -> str:
    """A member that is a string, else an empty one."""
    value = item.get(key) if isinstance(item, Mapping) else None
    return value if isinstance(value, str) else ""


def _image(part: Mapping[str, Any]) -> list[str]:
    url = part.get("image_url")
    url = string(url, "url") if isinstance(url, Mapping) else url
    return [image_data(url)] if isinstance(url, str) and url else []
