"""Models come, wait, stay and go as recorded; over the fake engine, so that it takes a minute."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.known import unexpected
from tests.contract.loads import PROFILES, Profile, replay_loads
from tests.contract.report import lines, table
from tests.fakes import interpreter


@pytest.fixture
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="vl-"))
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("profile", PROFILES, ids=str)
async def test_models_come_and_go_as_recorded(folder: Path, profile: Profile) -> None:
    results = await replay_loads(folder, profile, {"python": str(interpreter.write(folder))}, fake=True)
    print(table(results))
    assert not unexpected(results), "\n".join(lines(results, "AB"))
