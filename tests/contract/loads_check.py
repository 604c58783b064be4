"""The same over a real vLLM, words included: ``make contract-loads`` runs this (half an hour on the CPU)."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.known import unexpected
from tests.contract.loads import PROFILES, Profile, replay_loads
from tests.contract.report import lines, table
from tests.installed_engine import engine_prefix


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="vl-"))
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("profile", PROFILES, ids=str)
async def test_models_come_and_go_as_recorded(folder: Path, profile: Profile) -> None:
    results = await replay_loads(folder, profile, {"prefix": str(engine_prefix())}, fake=False)
    print("\n".join([*lines(results, "ABC"), table(results)]))
    assert not unexpected(results), "\n".join(lines(results, "AB"))
