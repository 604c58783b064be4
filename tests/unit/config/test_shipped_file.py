from __future__ import annotations

import re
from pathlib import Path

import yaml

from vllama.config.explain import as_tree, as_yaml, rows
from vllama.config.jsonschema import schema_text
from vllama.config.load import load_config
from vllama.config.profiles import SHIPPED
from vllama.config.schema import Config, ModelEntry, Section, Settings

ETC = Path(__file__).parents[3] / "etc"
FILE = ETC / "vllama.yaml"
ENVIRON = {"HOME": "/root"}


def uncommented() -> str:
    """The file with every default switched on: a value's '#' stands directly before its key."""
    return re.sub(r"^(\s*)#(?=[a-z_]+:)", r"\1", FILE.read_text(), flags=re.MULTILINE)


def defaults_but_for_the_network() -> Config:
    """A service serves the machines of its network; who starts one by hand serves this machine, as with Ollama."""
    return Config.model_validate({"server": {"host": "0.0.0.0"}})


def test_the_shipped_file_serves_the_local_network_and_changes_nothing_else():
    loaded = load_config(FILE, environ=ENVIRON)
    assert loaded.config.model_copy(update={"profiles": {}}) == defaults_but_for_the_network()
    assert (loaded.config.server.access, loaded.config.server.management) == ("lan", "loopback")
    assert not any(
        profile.model_dump(exclude_unset=True, exclude={"gpu"}) for profile in loaded.config.profiles.values()
    )


def test_the_values_behind_the_marks_are_the_defaults(tmp_path: Path):
    path = tmp_path / "all.yaml"
    path.write_text(uncommented())
    config = load_config(path, environ=ENVIRON).config
    assert config.model_copy(update={"profiles": {}}) == defaults_but_for_the_network()
    assert {name: profile.model_dump() for name, profile in config.profiles.items()} == {
        name: profile.model_dump() for name, profile in SHIPPED.items()
    }


def test_every_key_of_the_schema_is_explained():
    text = FILE.read_text()

    def keys(section: type[Section]) -> set[str]:
        found = set()
        for name, info in section.model_fields.items():
            found.add(name)
            if isinstance(info.annotation, type) and issubclass(info.annotation, Section):
                found |= keys(info.annotation)
        return found

    for key in keys(Config) | keys(ModelEntry) | keys(Settings) | {"gpu"}:
        assert re.search(rf"^[\s#]*{key}:", text, re.MULTILINE), f"{key} is not in etc/vllama.yaml"


def test_the_schema_file_is_the_schema():
    assert (ETC / "vllama.schema.json").read_text() == schema_text()


def test_what_show_prints_can_be_read_back(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "server: {host: '::', origins: ['http://*']}\nkeep_alive: forever\n"
        "models:\n  mini:4b: {source: a/b, parameters: {stop: ['#', \"x: y\"]}, settings: {kv_cache_memory: 1GiB}}\n"
        "profiles: {small: {max_num_seqs: 3, gpu: {16: {dtype: half}}}}\n"
    )
    first = load_config(path, environ=ENVIRON)
    shown = tmp_path / "shown.yaml"
    from dataclasses import asdict

    found = list(rows(first.config, asdict(first.directories), first.origin_of))
    shown.write_text("\n".join(as_yaml(iter(found), origins=True)))
    again = load_config(shown, environ=ENVIRON)
    assert again.config.server == first.config.server
    assert again.config.keep_alive == first.config.keep_alive
    assert again.config.models == first.config.models
    assert again.directories == first.directories
    assert again.config.profiles["small"].max_num_seqs == 3
    assert again.config.profiles["small"].gpu["16"].dtype == "half"
    assert again.config.profiles["small"].gpu["16"].gpu_memory_utilization == 0.9
    assert again.config.profiles["medium"].gpu["16"].kv_cache_dtype == "fp8"


def test_show_reports_where_each_value_comes_from(tmp_path: Path):
    path = tmp_path / "mine.yaml"
    path.write_text("profiles:\n  small:\n    max_num_seqs: 3\n")
    loaded = load_config(path, environ={**ENVIRON, "OLLAMA_HOST": ":1"})
    origins = {
        row.key: row.origin
        for row in rows(loaded.config, dict.fromkeys(("state", "cache", "runtime", "engine_prefix")), loaded.origin_of)
    }
    assert origins["server", "port"] == "environment OLLAMA_HOST"
    assert origins["profiles", "small", "max_num_seqs"] == f"{path}:3"
    assert origins["profiles", "small", "max_model_len"] == "default"
    tree = as_tree(rows(loaded.config, dict.fromkeys(("state", "cache", "runtime", "engine_prefix")), loaded.origin_of))
    assert tree["profiles"]["small"]["max_num_seqs"] == 3
    assert (
        yaml.safe_load(
            "\n".join(
                as_yaml(
                    rows(
                        loaded.config, dict.fromkeys(("state", "cache", "runtime", "engine_prefix")), loaded.origin_of
                    ),
                    origins=False,
                )
            )
        )["keep_alive"]
        == "5m"
    )
