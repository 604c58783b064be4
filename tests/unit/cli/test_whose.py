"""Whose models and engine a command looks at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vllama.cli.whose import note_whose
from vllama.config.environment import CHECKOUT
from vllama.config.load import DEFAULT_PATH, load_config


@pytest.mark.parametrize(
    ("uid", "environ", "said"),
    [
        (1000, {}, True),
        (0, {}, False),
        (1000, {"VLLAMA_STATE_DIR": "/x"}, False),
        (1000, {CHECKOUT: "/x"}, False),
    ],
)
def test_an_ordinary_user_of_a_machine_with_a_service_is_told_how_to_look_at_that(
    uid: int, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], *, said: bool
):
    file = tmp_path / "vllama.yaml"
    file.write_text(f"paths: {{cache: {tmp_path / 'cache'}}}\n")
    loaded = load_config(file, environ={"HOME": str(tmp_path)})
    own = replace(loaded.directories, state=tmp_path / "own")
    config = loaded.config.model_copy(update={"paths": loaded.config.paths.model_copy(update={"state": tmp_path})})
    note_whose(replace(loaded, path=DEFAULT_PATH, directories=own, config=config), environ, "outdated", uid=uid)
    assert ("sudo vllama outdated" in capsys.readouterr().err) is said
