"""The planner's sums against what vLLM logs; `make plan-check` does it for every kind of attention."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.predictions import hold, off
from tests.engine.shapes import make_model


@pytest.mark.long
@pytest.mark.parametrize("kind", ["gqa", "hybrid"])
async def test_weights_and_kv_cache_take_what_was_predicted(
    kind: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    held = await hold(make_model(tmp_path, kind), caplog)
    assert abs(off(held.kv_per_request)) < 3
    assert abs(off(held.weights)) < 3
