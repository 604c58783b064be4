"""What `vllama config check` says about a machine that lacks what the configuration names."""

from __future__ import annotations

from pathlib import Path

from tests.users import as_ordinary_user
from vllama.cli.surroundings import missing_things
from vllama.config.load import load_config


def test_models_to_preload_are_looked_for_where_the_user_may_look(tmp_path: Path):
    file, state = tmp_path / "vllama.yaml", tmp_path / "state"
    file.write_text("preload: [qwen3]\n")
    (state / "manifests").mkdir(parents=True)
    loaded = load_config(file, environ={"HOME": "/", "VLLAMA_STATE_DIR": str(state)})
    (problem,) = missing_things(loaded)
    assert "there is no model 'qwen3'" in problem.message
    state.chmod(0)
    with as_ordinary_user():
        assert missing_things(loaded) == ()
    state.chmod(0o700)
