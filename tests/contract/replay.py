"""Sends recorded requests to a server and holds its answers against the recorded ones."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.contract.comparison import compare_case
from tests.contract.naming import Names, Sides
from tests.contract.order import in_turn, stands_alone
from tests.contract.wire import Run, placeholders, run_case

GOLDEN = Path(__file__).parent / "golden"
"""What a real Ollama 0.33 answered; how each file's server was started stands in its header."""


def read_golden(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A file's header and its cases."""
    with path.open() as f:
        header = json.loads(f.readline())
        if header.get("golden") != 1:
            raise SystemExit(f"{path}: not a golden file of version 1")
        return header, [json.loads(line) for line in f]


def choose(
    cases: Iterable[dict[str, Any]],
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    load: bool | None = None,
) -> list[dict[str, Any]]:
    """Cases by the beginning of their id, and by whether they load and unload models (None: either)."""
    only, skip = tuple(only), tuple(skip)
    return [
        case
        for case in cases
        if (not only or case["id"].startswith(only))
        and not (skip and case["id"].startswith(skip))
        and (load is None or load == (case["cost"] == "load"))
    ]


def loosen(case: dict[str, Any]) -> dict[str, Any]:
    """The case for an engine that computes another text: it must be there, its words and tokens don't matter."""
    rules = {**case["rules"], "counts": "none", "numbers": "any"}
    if rules.get("text", "same") == "same":
        rules["text"] = "loose"
    return {**case, "rules": rules}


async def replay(
    base: str,
    header: dict[str, Any],
    cases: list[dict[str, Any]],
    *,
    models: dict[str, str] | None = None,
    seconds: float = 180,
    at_once: int = 1,
    progress: Callable[[int, str], None] = lambda number, case: None,
) -> list[dict[str, Any]]:
    """One result a case: ``id, area, note, worst, diffs, records``; ``worst`` is empty for an equal answer.

    With ``at_once`` above 1 that many of the cases that stand alone are replayed at the same time, those that unload a
    model come last, and what differs visibly is replayed once more by itself: a batch rounds otherwise than a single
    question, and a busy machine is late. Results come in the order of ``cases`` in any case.
    """
    base = base.rstrip("/")
    names = {**header["models"], **(models or {})}
    table = placeholders(names, base, secrets.token_hex(4))
    sides = Sides(
        Names(header["models"], header["base"]),
        Names(names, base),
        placeholders(header["models"], header["base"], header["run"]),
        table,
    )
    run = Run(base, table, seconds)
    results: dict[str, dict[str, Any]] = {}
    first = (await run_case({"steps": [{"method": "GET", "path": "/api/version"}]}, run))[0]
    if "failed" in first:
        raise ConnectionError(f"{base}: {first['failed']}")

    async def hold(case: dict[str, Any]) -> None:
        progress(len(results) + 1, case["id"])
        actual = await run_case(case, run)
        diffs = sorted(compare_case(case, actual, sides), key=lambda d: d.cls)
        results[case["id"]] = {
            "id": case["id"],
            "area": case["area"],
            "note": case["note"],
            "worst": diffs[0].cls if diffs else "",
            "diffs": [asdict(d) for d in diffs],
            "records": actual if diffs else None,
        }

    async def take_from(waiting: Iterator[dict[str, Any]]) -> None:
        for case in waiting:
            await hold(case)

    def differs(case: dict[str, Any]) -> bool:
        return at_once > 1 and results[case["id"]]["worst"] in ("A", "B")

    together = [case for case in cases if at_once > 1 and stands_alone(case)]
    waiting = iter(together)
    await asyncio.gather(*(take_from(waiting) for _ in range(at_once)))
    for case in filter(differs, together):
        await hold(case)
    others = [case for case in cases if case["id"] not in results]
    for case in in_turn(others) if at_once > 1 else others:
        await hold(case)
        if differs(case):
            await hold(case)
    return [results[case["id"]] for case in cases]
