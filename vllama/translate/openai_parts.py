"""What OpenAI's dialects share in their requests: images, files, efforts. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any, Final

from vllama.errors import BadRequest
from vllama.quoting import excerpt
from vllama.translate.efforts import EFFORTS
from vllama.translate.images import check_base64
from vllama.translate.passages import joined

_IMAGE_PREFIXES = tuple(f"data:{kind};base64," for kind in ("image/jpeg", "image/jpg", "image/png", "image/webp", ""))
_EFFORTS: Mapping[str, bool | str | None] = {
    "": None,
    "none": False,
    **{effort: effort for effort in EFFORTS},
    "ultra": "max",
}
_TEXT_MEDIA: Final = ("text/", "application/json", "application/xml", "application/x-yaml", "application/javascript")


def image_data(url: str) -> str:
    """The base64 text of an image given as a data URL; nothing is ever fetched. Raises BadRequest."""
    if url.startswith(("http://", "https://")):
        raise BadRequest("image URLs are not currently supported, please use base64 encoded data instead")
    for prefix in _IMAGE_PREFIXES:
        if url.startswith(prefix):
            try:
                return check_base64(url[len(prefix) :])
            except ValueError:
                break
    raise BadRequest("invalid image input")


def part_text(part: Any) -> str | None:
    """What a content part says: a text, a refusal, or a file that is text. None: it says nothing."""
    if not isinstance(part, Mapping) or not isinstance(part.get("type"), str):
        return None
    if part["type"] == "file":
        return file_text(part.get("file"))
    said = part.get("refusal") if part["type"] == "refusal" else part.get("text")
    return said if isinstance(said, str) else None


def readable_parts(parts: Sequence[Any], role: str) -> Sequence[Any]:
    """Without the parts of answers and results that say nothing: a history is not refused for them."""
    if role in {"user", "system"}:
        return parts
    return [part for part in parts if part_text(part) is not None or _is_image(part)]


def _is_image(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "image_url"


def file_text(file: Any) -> str | None:
    """The name and text of a file that came with its data; None where that is no text, or elsewhere."""
    if not isinstance(file, Mapping) or not isinstance(data := file.get("file_data"), str):
        return None
    media, _, data = data.removeprefix("data:").partition(",")
    if not media.startswith(_TEXT_MEDIA) or not media.endswith(";base64"):
        return None
    try:
        text = base64.b64decode(data, validate=True).decode()
    except ValueError:  # no base64, or no UTF-8
        return None
    name = file.get("filename")
    return joined([name if isinstance(name, str) else "", text])


def think_of(effort: str) -> bool | str | None:
    """A reasoning effort as Ollama's ``think``: False is off, None the model's default. Raises BadRequest."""
    if effort not in _EFFORTS:
        allowed = '"minimal", "low", "medium", "high", "xhigh", "ultra", "max", or "none"'
        raise BadRequest(f'invalid reasoning value: "{excerpt(effort)}" (must be {allowed})')
    return _EFFORTS[effort]


def go_type(value: Any) -> str:
    """How Go prints the type of a decoded JSON value (``%T``)."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "float64"
    return "[]interface {}" if isinstance(value, list) else "map[string]interface {}"
