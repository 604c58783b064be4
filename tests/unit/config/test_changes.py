from __future__ import annotations

from vllama.config.changes import changed_keys
from vllama.config.schema import Config


def config(**values):
    return Config.model_validate(values)


def test_equal_configurations_differ_in_nothing():
    assert changed_keys(config(), config(server={"port": 11434})) == ()


def test_each_changed_key_is_named_by_its_path():
    before = config(server={"port": 1}, models={"mini": {"source": "builtin:tinychat"}})
    after = config(server={"port": 2}, models={"mini": {"source": "builtin:tinychat", "settings": {"max_num_seqs": 4}}})
    assert changed_keys(before, after) == ("models.mini.settings.max_num_seqs", "server.port")


def test_a_model_that_came_is_named():
    assert changed_keys(config(), config(models={"mini": {"source": "builtin:tinychat"}})) == ("models.mini",)
