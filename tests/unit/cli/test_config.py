from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from vllama.cli.config import command
from vllama.config.jsonschema import schema_text
from vllama.errors import ConfigError
from vllama.install.capabilities import QUESTION, write_capabilities
from vllama.install.prefix import Home, Prefix


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "vllama.yaml"
    path.write_text("server: {prot: 1}\nkeep_alive: soon\n")
    return path


def run(*arguments: str | Path, environ: dict[str, str] | None = None):
    # click hides exceptions that main() would tell: let them through
    return CliRunner(env={"VLLAMA_CONFIG": None, **(environ or {})}).invoke(
        command, [str(argument) for argument in arguments], catch_exceptions=True
    )


def sentences(output: str, path: Path) -> list[str]:
    """``LINE: key: message`` for each problem of the JSON."""
    problems = json.loads(output)["problems"]
    return [f"{one['where'].removeprefix(f'{path}:')}: {one['key']}: {one['message']}" for one in problems]


def install(prefix: Path, *, flags: tuple[str, ...]) -> None:
    """An engine as far as the command line is concerned: what it answered when it was installed."""
    home = Home(prefix / "0.32.0-cpu")
    home.path.mkdir(parents=True)
    answer = {"version": "0.32.0", "backend": "cpu", "flags": [*flags], "tool_parsers": [], "reasoning_parsers": []}
    answer |= {"models": {}, "gone_models": {}, "quantizations": []}
    write_capabilities(home.capabilities_file, {**answer, "key": {"interpreter": "3.12.1", "question": QUESTION}})
    Prefix(prefix).publish(home)


def test_a_named_file_is_judged_without_the_shells_variables(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("server: {port: eleven}\n")
    done = run("check", path, environ={"OLLAMA_HOST": "127.0.0.1:11500", "VLLAMA_HOST": ":1", "OLLAMA_DEBUG": "1"})
    assert isinstance(done.exception, ConfigError)
    assert done.exception.problems == (f"{path}:1: server.port: must be a whole number, not 'eleven'",)


def test_a_gguf_file_as_a_source_is_called_what_it_is(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("models: {a: {source: /data/a.Q4_K_M.gguf}}\n")
    done = run("check", path)
    assert isinstance(done.exception, ConfigError)
    assert "GGUF files can't be served; name the repository" in done.exception.problems[0]


def test_check_of_a_valid_file(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("keep_alive: 1h\n")
    assert run("check", path).output == f"{path} is valid\n"
    assert json.loads(run("check", path, "--json").output) == {
        "valid": True,
        "file": str(path),
        "problems": [],
        "warnings": [],
    }


def test_what_opens_the_service_to_strangers_is_a_warning_of_a_valid_file(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("server: {host: 0.0.0.0, access: any, management: any}\n")
    found = run("check", path)
    assert (found.exit_code, f"{path} is valid" in found.output) == (0, True)
    assert "anybody may pull and delete models" in found.output
    (warning,) = json.loads(run("check", path, "--json").stdout)["warnings"]
    assert warning["key"] == "server.management"
    assert warning["where"] == f"{path}:1"
    assert "server.keys" in warning["message"]


def test_check_of_a_wrong_file_reports_everything_and_ends_with_78(wrong: Path):
    found = run("check", wrong, "--json")
    assert found.exit_code == 78
    answer = json.loads(found.output)
    assert answer["valid"] is False
    assert answer["problems"] == [
        {"where": f"{wrong}:1", "key": "server.prot", "message": "unknown key (did you mean 'port'?)"},
        {
            "where": f"{wrong}:2",
            "key": "keep_alive",
            "message": "must be a duration such as 30s, 5m or 1h30m, not 'soon'",
        },
    ]
    # without --json main() prints the error and ends with 78
    assert isinstance(run("check", wrong).exception, ConfigError)


def test_show_says_where_values_come_from(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("keep_alive: 1h\n")
    lines = run("show", "--config", path, "--origin", environ={"OLLAMA_HOST": "0.0.0.0"}).output.splitlines()
    assert f"keep_alive: 1h  # {path}:1" in lines
    assert "  host: 0.0.0.0  # environment OLLAMA_HOST" in lines
    assert "  access: false  # default" in lines
    answer = json.loads(run("show", "--config", path, "--json").output)
    assert answer["values"]["keep_alive"] == "1h"
    assert answer["origins"]["keep_alive"] == f"{path}:1"


def test_a_named_file_is_shown_without_the_shells_variables(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("server: {port: 11999}\n")
    values = json.loads(run("show", path, "--json", environ={"OLLAMA_HOST": "127.0.0.1:11500"}).output)["values"]
    assert values["server"]["port"] == 11999
    shell = run("show", "--config", path, "--json", environ={"OLLAMA_HOST": "127.0.0.1:11500"})
    assert json.loads(shell.output)["values"]["server"]["port"] == 11500


@pytest.mark.parametrize("verb", ["check", "show"])
def test_a_file_is_named_once(verb: str, tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text("keep_alive: 1h\n")
    assert run(verb, "--config", path).exit_code == 0
    both = run(verb, path, "--config", path)
    assert (both.exit_code, "not both" in both.output) == (2, True)


def test_schema_prints_the_schema():
    assert run("schema").output == schema_text()


def test_check_reports_what_the_file_names_and_the_machine_does_not_have(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text(
        "preload: [tinny, tiny]\n"
        "models:\n"
        "  tiny: {source: builtin:tinychat}\n"
        "  far: {source: org/far}\n"
        "  lost:\n"
        "    source: /nowhere\n"
        "engine:\n"
        "  python: /nowhere/python\n"
    )
    state, near = tmp_path / "state", "(did you mean 'tiny'?)"
    nowhere = "it is not configured, not in the catalogue, and was not pulled into"
    found = run("check", path, "--json", environ={"VLLAMA_STATE_DIR": str(state)})
    assert found.exit_code == 78
    assert sentences(found.output, path) == [
        f"1: preload.0: there is no model 'tinny': {nowhere} {state} {near}",
        "6: models.lost.source: /nowhere: there is no such directory",
        "8: engine.python: there is no interpreter '/nowhere/python'",
    ]
    (warning,) = json.loads(found.output)["warnings"]  # what is only not here yet
    assert (warning["key"], warning["message"]) == ("models.far.source", "org/far is not pulled: vllama pull far")


def test_models_that_can_be_pulled_are_warnings_of_a_valid_file(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text(
        "preload: ['qwen3:0.6b', o/n@v1, small]\n"
        "models:\n  small: {source: 'qwen3:0.6b'}\n  typo: {source: 'qwn3:0.6b'}\n"
    )
    found = run("check", path, "--json", environ={"VLLAMA_STATE_DIR": str(tmp_path / "state")})
    assert [one["message"] for one in json.loads(found.output)["warnings"]] == [
        "qwen3:0.6b is not pulled: vllama pull qwen3:0.6b",
        "o/n:v1 is not pulled: vllama pull o/n:v1",
        "qwen3:0.6b is not pulled: vllama pull small",
    ]
    (problem,) = sentences(found.output, path)
    assert problem.startswith("4: models.typo.source: there is no model 'qwn3:0.6b'")
    assert problem.endswith("(did you mean 'qwen3:0.6b'?)")
    path.write_text("preload: ['qwen3:0.6b']\n")
    found = run("check", path, environ={"VLLAMA_STATE_DIR": str(tmp_path / "state")})
    assert (found.exit_code, "vllama pull qwen3:0.6b" in found.output) == (0, True)


def test_errors_of_form_say_that_the_rest_was_not_looked_at(wrong: Path):
    done = run("check", wrong)
    assert isinstance(done.exception, ConfigError)
    assert "only checked after that" in done.exception.hint


def test_check_holds_flags_against_the_installed_engine(tmp_path: Path):
    path = tmp_path / "vllama.yaml"
    path.write_text(
        "models:\n"
        "  tiny:\n"
        "    source: o/tiny\n"
        "    settings:\n"
        '      extra_args: ["--max-num-sqs", "3", "--port=1", "--seed", "1"]\n'
        "profiles:\n"
        '  small: {gpu: {cpu: {extra_args: ["--quux"]}}}\n'
    )
    place = {"VLLAMA_ENGINE_PREFIX": str(tmp_path / "engine"), "VLLAMA_STATE_DIR": str(tmp_path / "state")}
    assert run("check", path, environ=place).exit_code == 0  # nothing is installed: nobody knows its flags
    install(tmp_path / "engine", flags=("--max-num-seqs", "--seed"))
    found = run("check", path, "--json", environ=place)
    assert sentences(found.output, path) == [
        "5: models.tiny.settings.extra_args: vLLM 0.32.0 does not know --max-num-sqs (did you mean '--max-num-seqs'?)",
        "5: models.tiny.settings.extra_args: --port is set by vLLama itself",
        "7: profiles.small.gpu.cpu.extra_args: vLLM 0.32.0 does not know --quux",
    ]
