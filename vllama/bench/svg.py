"""Draws a picture as SVG. Pure."""

from __future__ import annotations

from html import escape

from vllama.bench.marks import Circle, Mark, Picture, Polyline

_FONT = "system-ui, sans-serif"


def svg(picture: Picture) -> str:
    """A document that also stands inside HTML."""
    size = f'width="{picture.width}" height="{picture.height}" viewBox="0 0 {picture.width} {picture.height}"'
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{_FONT}">',
            '<rect width="100%" height="100%" fill="#ffffff"/>',
            *map(_drawn, picture.marks),
            "</svg>\n",
        )
    )


def _drawn(mark: Mark) -> str:
    if isinstance(mark, Polyline):
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in mark.points)
        return f'<polyline points="{points}" fill="none" stroke="{mark.colour}" stroke-width="{mark.width:g}"/>'
    if isinstance(mark, Circle):
        x, y = mark.centre
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{mark.radius:g}" fill="{mark.colour}"/>'
    x, y = mark.at
    return (
        f'<text x="{x:.1f}" y="{y + mark.size * 0.35:.1f}" font-size="{mark.size:g}" text-anchor="{mark.anchor}"'
        f' fill="{mark.colour}">{escape(mark.text)}</text>'
    )
