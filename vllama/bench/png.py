"""Draws a picture as PNG, with Pillow where it is installed (the extra ``bench``)."""

from __future__ import annotations

from io import BytesIO
from typing import Final

from vllama.bench.marks import Circle, Picture, Polyline
from vllama.errors import NotFound

_SCALE: Final = 2
"""Dots for a pixel: sharp on fine screens, and lines are smooth."""
_ANCHORS: Final = {"start": "lm", "middle": "mm", "end": "rm"}


def png(picture: Picture) -> bytes:
    """The file's bytes; raises NotFound where Pillow is missing."""
    try:
        from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - optional, and slow to import
    except ImportError:
        raise NotFound(
            "PNG needs Pillow, which is not installed",
            hint="Install it (dnf install python3-pillow, or pip install 'vllama[bench]'), or write an .svg file.",
        ) from None
    image = Image.new("RGB", (picture.width * _SCALE, picture.height * _SCALE), "#ffffff")
    draw = ImageDraw.Draw(image)
    for mark in picture.marks:
        if isinstance(mark, Polyline):
            points = [(x * _SCALE, y * _SCALE) for x, y in mark.points]
            draw.line(points, fill=mark.colour, width=max(1, round(mark.width * _SCALE)), joint="curve")
        elif isinstance(mark, Circle):
            draw.circle((mark.centre[0] * _SCALE, mark.centre[1] * _SCALE), mark.radius * _SCALE, fill=mark.colour)
        else:
            font = ImageFont.load_default(mark.size * _SCALE)
            place = (mark.at[0] * _SCALE, mark.at[1] * _SCALE)
            draw.text(place, mark.text, fill=mark.colour, font=font, anchor=_ANCHORS[mark.anchor])
    file = BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()
