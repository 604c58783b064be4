"""The table and the lines that people read."""

from __future__ import annotations

from typing import Any

from tests.contract.keys import ORDER


def table(results: list[dict[str, Any]]) -> str:
    """Cases, equal, and cases by their worst difference, for each area."""
    areas: dict[str, list[dict[str, Any]]] = {}
    for r in results:
        areas.setdefault(r["area"], []).append(r)
    lines = [f"{'area':18}{'cases':>7}{'equal':>7}{'A':>6}{'B':>6}{'C':>6}"]
    for name, rs in [*sorted(areas.items()), ("all", results)]:
        n = {c: sum(r["worst"] == c for r in rs) for c in ("", *ORDER)}
        lines.append(f"{name:18}{len(rs):7}{n['']:7}{n['A']:6}{n['B']:6}{n['C']:6}")
    return "\n".join(lines)


def lines(results: list[dict[str, Any]], shown: str, limit: int | None = 3) -> list[str]:
    """The differences of the classes in ``shown``, worst first; ``limit`` of each case."""
    out = []
    for r in sorted(results, key=lambda r: (r["worst"] or "Z", r["area"])):
        found = [d for d in r["diffs"] if d["cls"] in shown]
        for d in found[:limit]:
            where = d["where"] + ": " if d["where"] else ""
            out.append(f"{d['cls']}  {r['id']}: {where}{d['what']}")
        if limit is not None and len(found) > limit:
            out.append(f"   {r['id']}: {len(found) - limit} more")
    return out
