"""What `vllama config check` says about a machine that lacks what the configuration names."""

from __future__ import annotations

from pathlib import Path

from tests.users import as_ordinary_user
from vllama.cli.surroundings import compare
from vllama.config.load import load_config


def test_models_to_preload_are_looked_for_where_the_user_may_look(tmp_path: Path):
    file, state = tmp_path / "vllama.yaml", tmp_path / "state"
    file.write_text("preload: [wen]\n")
    (state / "manifests").mkdir(parents=True)
    loaded = load_config(file, environ={"HOME": "/", "VLLAMA_STATE_DIR": str(state)})
    (problem,) = compare(loaded).problems
    assert "there is no model 'wen'" in problem.message
    state.chmod(0)
    with as_ordinary_user():
        assert compare(loaded) == ((), ())
    state.chmod(0o700)
