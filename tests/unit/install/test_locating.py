"""Finding the engine: the installed one, or the interpreter that the configuration names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.fakes.installer import GOOD_ANSWER, make_venv
from vllama.errors import EngineNotInstalled, InstallFailed
from vllama.install.capabilities import (
    ASK,
    QUESTION,
    probe,
    read_answer,
    read_capabilities,
    shipped_registry,
    write_capabilities,
)
from vllama.install.engines import known_registry, known_version, locate, rollback, status
from vllama.install.prefix import SYSTEM, Home, Prefix, install_command


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return tmp_path / "engine"


def put(prefix: Path, name: str) -> Home:
    """An engine that was installed and published."""
    home = Home(prefix / name)
    make_venv(home.path)
    write_capabilities(home.capabilities_file, GOOD_ANSWER)
    Prefix(prefix).publish(home)
    return home


def engine_script(folder: Path, *, key: str, answer: str = "", status: int = 0) -> Path:
    """An interpreter that counts how often it was asked for everything."""
    python = folder / "python"
    python.write_text(
        f"#!/bin/sh\nif [ \"$3\" = key ]; then echo '{key}'; exit 0; fi\n"
        f"echo x >> {folder}/asked\necho 'a warning'\necho '{answer}'\necho 'the end' >&2\nexit {status}\n"
    )
    python.chmod(0o755)
    return python


KEY = '{"interpreter": "3.11.7", "vllm": "0.32.0", "torch": "2.13.0+cpu", "question": "2"}'
ANSWER = (
    f'{{"key": {KEY}, "version": "0.32.0", "backend": "cpu", "torch": "2.13.0+cpu", "flags": ["--uds"],'
    ' "tool_parsers": ["hermes"], "reasoning_parsers": ["qwen3"],'
    ' "models": {"OtherForCausalLM": "generate"}, "gone_models": {}, "quantizations": []}'
)


def test_both_sides_ask_the_same_question() -> None:
    found = re.search(r'^_QUESTION = "(.*)"$', ASK.read_text(), re.MULTILINE)
    assert found is not None
    assert found[1] == QUESTION


def test_no_engine_is_reported_with_the_command_that_installs_it(prefix: Path) -> None:
    with pytest.raises(EngineNotInstalled, match="no vLLM engine is installed") as caught:
        locate(None, prefix)
    assert f"vllama engine install --prefix {prefix}" in caught.value.advice
    assert caught.value.hint == "Install it on the server: vllama engine install"


def test_the_system_engine_needs_no_prefix_in_the_command() -> None:
    assert install_command(SYSTEM).endswith("vllama engine install")


def test_a_checkouts_engine_is_installed_by_the_checkouts_own_command(tmp_path: Path) -> None:
    command = tmp_path / ".venv" / "bin" / "vllama"
    command.parent.mkdir(parents=True)
    command.touch()
    assert install_command(tmp_path / ".vllama" / "engine") == f"{command} engine install"


def test_a_folder_that_is_not_ours_to_write_needs_root(tmp_path: Path) -> None:
    assert install_command(tmp_path / "x", lambda _: False).startswith("sudo vllama engine install")


def test_an_interpreter_that_went_away_is_reported_as_what_it_is(prefix: Path) -> None:
    home = put(prefix, "0.32.0-cpu")
    home.python.unlink()
    home.python.symlink_to("/usr/bin/python3.10-gone")
    with pytest.raises(EngineNotInstalled, match=r"python3\.10-gone.*distribution upgrade") as caught:
        locate(None, prefix)
    assert "install the engine again" in caught.value.advice.lower()


OLD_ANSWER = {key: value for key, value in GOOD_ANSWER.items() if key not in {"models", "gone_models", "quantizations"}}
"""What earlier versions of ours kept."""


def put_with_an_old_record(prefix: Path, folder: Path, record: str) -> Home:
    home = put(prefix, "0.32.0-cpu")
    home.capabilities_file.write_text(record)
    home.python.unlink()
    home.python.symlink_to(engine_script(folder, key=KEY, answer=ANSWER))
    return home


EARLIER = GOOD_ANSWER | {"key": {**GOOD_ANSWER["key"], "question": "1"}}
"""The answer to another question than today's."""


@pytest.mark.parametrize("record", [json.dumps(OLD_ANSWER), json.dumps(EARLIER), '{"version": "0.32.0"', "[]"])
def test_an_engine_with_an_old_or_damaged_record_is_asked_again_and_once(
    prefix: Path, tmp_path: Path, record: str
) -> None:
    home = put_with_an_old_record(prefix, tmp_path, record)
    probes = tmp_path / "cache"
    assert locate(None, prefix, probes=probes).tool_parsers == {"hermes"}
    assert locate(None, prefix, probes=probes).python == home.python
    assert (tmp_path / "asked").read_text() == "x\n"
    assert home.capabilities_file.read_text() == record  # it may be root's


def test_facts_never_wait_for_an_engine_to_be_asked(prefix: Path, tmp_path: Path) -> None:
    probes = tmp_path / "cache"
    assert known_registry(None, prefix, probes=probes) is shipped_registry()  # there is no engine
    assert known_version(None, prefix, probes=probes) == ""
    home = put_with_an_old_record(prefix, tmp_path, json.dumps(OLD_ANSWER))
    for python in (None, home.python):  # it was not asked yet, and may know more
        known = known_registry(python, prefix, probes=probes)
        assert (known.models, known.sure) == (shipped_registry().models, False)
        assert known.work_of(["NewForCausalLM"]) == "generate"
        assert known.work_of(["BertModel"]) == "embed"
        assert known.quantizes("new")
        assert known_version(python, prefix, probes=probes) == ""
    assert not (tmp_path / "asked").exists()
    locate(None, prefix, probes=probes)
    assert known_registry(None, prefix, probes=probes).models == {"OtherForCausalLM": "generate"}
    assert known_version(None, prefix, probes=probes) == GOOD_ANSWER["version"]
    write_capabilities(home.capabilities_file, GOOD_ANSWER)
    assert known_registry(None, prefix, probes=probes).models == GOOD_ANSWER["models"]


def test_a_rollback_to_an_engine_with_an_old_record_asks_it_again(prefix: Path, tmp_path: Path) -> None:
    put_with_an_old_record(prefix, tmp_path, json.dumps(OLD_ANSWER))
    put(prefix, "0.32.1-cpu")
    assert rollback(prefix).tool_parsers == {"hermes"}


def test_a_link_into_nothing_is_no_engine(prefix: Path) -> None:
    prefix.mkdir()
    (prefix / "current").symlink_to("0.32.0-cpu")
    with pytest.raises(EngineNotInstalled, match="no vLLM engine is installed"):
        locate(None, prefix)


def test_nothing_is_passed_that_the_engine_does_not_know(prefix: Path) -> None:
    put(prefix, "0.32.0-cpu")
    found = locate(None, prefix)
    assert found.supports("--uds")
    assert found.supports("--model=x")
    assert found.supports("--uds.key")
    assert not found.supports("--no-such-flag")


def test_a_configured_interpreter_is_asked_once_and_again_when_its_vllm_changed(tmp_path: Path) -> None:
    python = engine_script(tmp_path, key=KEY, answer=ANSWER)
    cache = tmp_path / "cache" / "answer.json"
    assert probe(python, cache).version == "0.32.0"
    assert probe(python, cache).tool_parsers == {"hermes"}
    assert (tmp_path / "asked").read_text() == "x\n"
    engine_script(tmp_path, key=KEY.replace("0.32.0", "0.32.1"), answer=ANSWER)
    probe(python, cache)
    assert (tmp_path / "asked").read_text() == "x\nx\n"


def test_a_cache_that_cannot_be_written_costs_only_time(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert probe(engine_script(tmp_path, key=KEY, answer=ANSWER), tmp_path / "file" / "answer.json").version == "0.32.0"


def test_with_a_broken_cache_the_interpreter_is_asked_again(tmp_path: Path) -> None:
    cache = tmp_path / "answer.json"
    cache.write_text("[1]")
    assert probe(engine_script(tmp_path, key=KEY, answer=ANSWER), cache).version == "0.32.0"


def test_a_configured_interpreter_without_vllm_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineNotInstalled, match="has no vLLM in it"):
        probe(engine_script(tmp_path, key='{"vllm": ""}'), tmp_path / "answer.json")


def test_a_vllm_that_does_not_import_is_reported_in_its_own_last_words(tmp_path: Path) -> None:
    with pytest.raises(EngineNotInstalled, match=r"does not import in .*: the end"):
        probe(engine_script(tmp_path, key=KEY, answer=ANSWER, status=1), tmp_path / "answer.json")


def test_a_configured_interpreter_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineNotInstalled, match="can't be run: No such file"):
        locate(tmp_path / "nothing", tmp_path)


@pytest.mark.parametrize("lines", [[], ["text"], ["[1]"], ["{"], ["3"]])
def test_what_is_no_answer_is_not_taken_for_one(lines: list[str]) -> None:
    assert read_answer(lines) is None


def test_the_answer_is_found_among_what_libraries_say() -> None:
    assert read_answer(["warning", '{"a": 1}', "nanobind: leaked", "{not json"]) == {"a": 1}


@pytest.mark.parametrize(
    "change", [{"backend": "tpu"}, {"flags": None}, {"key": 3}, {"tool_parsers": 1}, {"models": []}]
)
def test_an_answer_that_makes_no_sense_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_capabilities(tmp_path / "answer.json", GOOD_ANSWER | change)
    assert read_capabilities(tmp_path / "answer.json", tmp_path) is None


def test_publishing_switches_by_one_rename_and_keeps_the_one_before(prefix: Path) -> None:
    first, second = put(prefix, "0.32.0-cpu"), put(prefix, "0.32.1-cpu")
    assert (Prefix(prefix).current, Prefix(prefix).previous) == (second, first)
    Prefix(prefix).publish(second)
    assert Prefix(prefix).previous == first, "publishing again loses nothing"


def test_rollback_returns_to_the_previous_engine_and_back(prefix: Path) -> None:
    first, second = put(prefix, "0.32.0-cpu"), put(prefix, "0.32.1-cpu")
    assert rollback(prefix).python == first.python
    assert rollback(prefix).python == second.python


def test_rollback_without_a_previous_engine_is_refused(prefix: Path) -> None:
    put(prefix, "0.32.0-cpu")
    with pytest.raises(InstallFailed, match="no previous engine"):
        rollback(prefix)


def test_status_reports_why_there_is_no_engine_and_of_a_half_made_one(prefix: Path) -> None:
    assert status(None, prefix).problem == "no vLLM engine is installed"
    make_venv(prefix / "0.32.0-cpu")
    found = status(None, prefix)
    assert not found.usable
    assert "a half-made one is in" in found.problem


def test_status_tries_the_interpreter(prefix: Path) -> None:
    put(prefix, "0.32.0-cpu")  # its interpreter is the tests' own, which has no vLLM
    found = status(None, prefix)
    assert not found.usable
    assert "has no vLLM any more" in found.problem
    assert found.capabilities is not None


def test_status_of_a_configured_interpreter(tmp_path: Path) -> None:
    found = status(engine_script(tmp_path, key=KEY, answer=ANSWER), tmp_path / "engine")
    assert found.usable
    assert found.path is None
