"""All kinds of attention: ``make plan-check`` runs this and prints the table (25 s an engine on an idle machine)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.predictions import HEADER, hold, off
from tests.engine.shapes import KINDS, make_model


@pytest.fixture(scope="module")
def table() -> Iterator[list[str]]:
    """Collects a row of each test; printed at the end."""
    rows = [HEADER]
    yield rows
    print("\n" + "\n".join(rows))


@pytest.mark.parametrize("kind", KINDS)
async def test_weights_and_kv_cache_take_what_was_predicted(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, table: list[str]
) -> None:
    held = await hold(make_model(tmp_path, kind), caplog)
    table.append(held.row(kind))
    assert abs(off(held.kv_per_request)) < 3
    assert abs(off(held.weights)) < 3
