from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.users import as_ordinary_user
from vllama.config.environment import environment
from vllama.config.load import Loaded, load_config
from vllama.config.schema import Config
from vllama.errors import ConfigError


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "vllama.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def load(path: Path, environ: dict[str, str] | None = None, flags: dict[str, object] | None = None) -> Loaded:
    return load_config(path, environ={"HOME": "/home/ada", **(environ or {})}, flags=flags)


def problems(path: Path, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    return caught.value.problems


def outcome(path: Path, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    """The problems of a file that may also be right."""
    try:
        load(path, environ)
    except ConfigError as error:
        return error.problems or ("no problem named",)
    return ()


def test_an_empty_file_is_the_defaults(write):
    loaded = load(write(""))
    assert loaded.config == Config()
    assert loaded.origin_of("server.port") == "default"


def test_values_of_the_file_know_their_line(write):
    path = write("server:\n  port: 8080\nmodels:\n  mini: {source: org/mini}\n")
    loaded = load(path)
    assert loaded.config.server.port == 8080
    assert loaded.origin_of("server.port") == f"{path}:2"
    assert loaded.origin_of(("models", "mini", "source")) == f"{path}:4"


def test_flag_beats_environment_beats_file(write):
    path = write("server: {host: 10.0.0.1, port: 1}\n")
    loaded = load(path, {"OLLAMA_HOST": "0.0.0.0:2"})
    assert (loaded.config.server.host, loaded.config.server.port) == ("0.0.0.0", 2)
    assert loaded.origin_of("server.port") == "environment OLLAMA_HOST"
    loaded = load(
        path, {"OLLAMA_HOST": "0.0.0.0:2", "VLLAMA_HOST": "127.0.0.1:3"}, {"server.port": 4, "log.level": None}
    )
    assert (loaded.config.server.host, loaded.config.server.port) == ("127.0.0.1", 4)
    assert (loaded.origin_of("server.host"), loaded.origin_of("server.port")) == ("environment VLLAMA_HOST", "flag")
    assert loaded.origin_of("log.level") == "default"


def test_all_problems_are_reported_at_once_in_the_order_of_the_lines(write):
    path = write(
        "sever: {}\n"
        "server:\n"
        "  prot: 1\n"
        "  port: '80'\n"
        "  max_body: 3 cows\n"
        "keep_alive: soon\n"
        "preload: mini\n"
        "models:\n"
        "  bad name: {source: a/b}\n"
        "  two: {source: a/b/c}\n"
        "  three: {}\n"
        "profiles:\n"
        "  smal: {}\n"
        "  small: {gpu: {15: {}}, max_num_seqs: 0, gpu_memory_utilization: 1.5}\n"
        "log: {level: warn}\n"
    )
    assert [problem.removeprefix(f"{path}:") for problem in problems(path)] == [
        "1: sever: unknown key (did you mean 'server'?)",
        "3: server.prot: unknown key (did you mean 'port'?)",
        "4: server.port: must be a whole number, not '80'",
        "5: server.max_body: must be a size such as 64MiB or 4GiB, not '3 cows'",
        "6: keep_alive: must be a duration such as 30s, 5m or 1h30m, not 'soon'",
        "7: preload: must be a list: one '- entry' a line, or [a, b], not 'mini'",
        "9: models.bad name: must be a model name (letters, digits, '_', '-', '.', then ':tag'), not 'bad name'",
        (
            "10: models.two.source: must be a name of the catalogue, a repository org/name[@revision], a directory"
            " (/path, ./path) or tinychat, not 'a/b/c'"
        ),
        "11: models.three.source: is required",
        "13: profiles.smal: must be one of small, medium, large, xlarge, not 'smal' (did you mean 'small'?)",
        "14: profiles.small.max_num_seqs: must be at least 1, not 0",
        "14: profiles.small.gpu_memory_utilization: must be at most 1.0, not 1.5",
        "14: profiles.small.gpu.15: must be one of cpu, 16, 24, 32, 80, 141, not '15'",
        "15: log.level: must be one of debug, info, warning, error, not 'warn' (did you mean 'warning'?)",
    ]


def test_a_source_is_a_place_or_a_name_that_can_be_pulled(write):
    path = write("models: {q: {source: 'qwen3:0.6b'}, s: {source: a b}}\n")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:1: models.s.source: must be a name of the catalogue, a repository")


def test_a_source_does_not_name_another_entry(write):
    path = write("models:\n  q: {source: a/b}\n  r: {source: Q}\n  s: {source: s}\n")
    (problem,) = problems(path)
    assert problem == f"{path}:3: models.r.source: 'q' is an entry of this file, too: write its source"


@pytest.mark.parametrize(
    ("text", "where", "pointer"),
    [
        ("port: 1\n", "port", "it belongs under 'server'"),
        ("models: {a: {source: o/n, max_model_len: 9}}\n", "models.a.max_model_len", "it belongs under 'settings'"),
        ("server: {keep_alive: 30m}\n", "server.keep_alive", "it belongs at the top level"),
        ("engine: {access: lan}\n", "engine.access", "it belongs under 'server'"),
    ],
)
def test_a_key_in_the_wrong_section_is_pointed_to_its_place(write, text: str, where: str, pointer: str):
    path = write(text)
    assert problems(path) == (f"{path}:1: {where}: unknown key ({pointer})",)


@pytest.mark.parametrize(
    ("text", "where", "pointer"),
    [
        ("OLLAMA_KEEP_ALIVE: 24h\n", "OLLAMA_KEEP_ALIVE", "it is an environment variable; its key is keep_alive"),
        (
            "server: {OLLAMA_HOST: a}\n",
            "server.OLLAMA_HOST",
            "it is an environment variable; its key is server.host and server.port",
        ),
        ("models: {a: {source: o/n, path: /x}}\n", "models.a.path", "did you mean 'source'?"),
        (
            "models: {a: {source: o/n, num_ctx: 9}}\n",
            "models.a.num_ctx",
            "did you mean 'max_model_len', under 'settings'?",
        ),
        (
            "models: {a: {source: o/n, num_parallel: 9}}\n",
            "models.a.num_parallel",
            "did you mean 'max_num_seqs', under 'settings'?",
        ),
        (
            "models: {a: {source: o/n, vllm_args: [--x]}}\n",
            "models.a.vllm_args",
            "did you mean 'extra_args', under 'settings'?",
        ),
        (
            "models: {a: {source: o/n, temperature: 1}}\n",
            "models.a.temperature",
            "it belongs under 'parameters'",
        ),
        (
            "models: {a: {source: o/n, settings: {temperature: 1}}}\n",
            "models.a.settings.temperature",
            "it belongs under 'parameters' of the model",
        ),
        ("num_parallel: 4\n", "num_parallel", "did you mean 'max_num_seqs', under 'settings' of a model?"),
        ("temperature: 0\n", "temperature", "it belongs under 'parameters' of a model"),
        ("profiles: {small: {num_ctx: 9}}\n", "profiles.small.num_ctx", "did you mean 'max_model_len'?"),
    ],
)
def test_another_programs_name_for_a_key_is_translated(write, text: str, where: str, pointer: str):
    path = write(text)
    assert problems(path) == (f"{path}:1: {where}: unknown key ({pointer})",)


def test_a_key_given_twice_is_a_problem(write):
    assert problems(write("keep_alive: 5m\nkeep_alive: 6m\n"))[0].endswith(
        ":2: keep_alive: is given twice (first in line 1)"
    )


def test_two_spellings_of_one_model_are_a_problem(write):
    (problem,) = problems(write("models:\n  mini: {source: a/b}\n  MINI:latest: {source: a/b}\n"))
    assert problem.endswith(":3: models.MINI:latest: is the same model as 'mini'")


def test_what_is_preloaded_must_be_a_name_or_a_repository(write):
    (problem,) = problems(write("models:\n  mini: {source: a/b}\npreload: [Mini, pulled, o/n@v1, a b]\n"))
    assert ":3: preload.3: must be a model name or a repository org/name[@revision], not 'a b'" in problem
    assert load_config(write("preload: [o/n@refs/pr/3]\n"), environ={}).config.preload == ("o/n:refs-pr-3",)


def test_a_model_that_is_only_its_source_is_shown_how_to_write_it(write):
    path = write("models:\n  a: qwen3:0.6b\n")
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:2: models.a: must be a section of 'key: value' lines, not 'qwen3:0.6b'")
    assert problem.endswith("(did you mean {source: 'qwen3:0.6b'}?)")


def test_broken_yaml_reports_the_line(write):
    (problem,) = problems(write("server:\n  port: [1\nkeep_alive: 5m\n"))
    assert ":3: is not valid YAML" in problem


def test_a_file_in_another_encoding_reports_the_line(write):
    (problem,) = problems(write("server:\n  host: käse\n".encode("latin-1")))
    assert problem.endswith(":2: is not UTF-8 (byte 0xe4)")


def test_a_byte_order_mark_does_not_matter(write):
    assert load(write(b"\xef\xbb\xbfkeep_alive: 1m\n")).config.keep_alive == 60


def test_a_named_file_must_be_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no configuration file"):
        load(tmp_path / "nothing.yaml")
    with pytest.raises(ConfigError, match="can't read"):
        load(tmp_path)


def test_a_file_that_the_user_may_not_read_is_reported_with_what_to_do(write):
    path = write("keep_alive: 1m\n")
    path.chmod(0)
    with as_ordinary_user(), pytest.raises(ConfigError, match="Permission denied") as caught:
        load(path)
    assert f"sudo chmod 644 {path}" in caught.value.advice
    assert f"sudo chown root:vllama {path}; sudo chmod 640 {path}" in caught.value.advice


def test_the_file_may_be_named_by_the_environment(write):
    path = write("keep_alive: 1m\n")
    loaded = load_config(None, environ={"HOME": "/", "VLLAMA_CONFIG": str(path)})
    assert (loaded.path, loaded.config.keep_alive) == (path, 60)


@pytest.mark.parametrize(
    ("name", "text", "key", "value"),
    [
        ("OLLAMA_KEEP_ALIVE", "10m", "keep_alive", 600),
        ("OLLAMA_KEEP_ALIVE", "'1h30m'", "keep_alive", 5400),
        ("OLLAMA_KEEP_ALIVE", "90", "keep_alive", 90),
        ("OLLAMA_KEEP_ALIVE", "0", "keep_alive", 0),
        ("OLLAMA_KEEP_ALIVE", "-1", "keep_alive", math.inf),
        ("OLLAMA_KEEP_ALIVE", "-1m", "keep_alive", math.inf),
        ("OLLAMA_KEEP_ALIVE", "soon", "keep_alive", 300),
        (
            "OLLAMA_ORIGINS",
            "http://a.example, http://b.example,",
            "server.origins",
            ("http://a.example", "http://b.example"),
        ),
        ("OLLAMA_MAX_QUEUE", "3", "server.max_queue", 3),
        ("OLLAMA_MAX_QUEUE", "many", "server.max_queue", 512),
        ("OLLAMA_CONTEXT_LENGTH", "16384", "context_length", 16384),
        ("OLLAMA_CONTEXT_LENGTH", "0", "context_length", None),
        ("OLLAMA_LOAD_TIMEOUT", "1m", "engine.stall_timeout", 60),
        ("OLLAMA_LOAD_TIMEOUT", "0", "engine.stall_timeout", math.inf),
        ("OLLAMA_DEBUG", "1", "log.level", "debug"),
        ("OLLAMA_DEBUG", "false", "log.level", "info"),
        ("OLLAMA_HOST", ":8080", "server.port", 8080),
        ("OLLAMA_HOST", ":8080", "server.host", ""),  # every interface
        ("VLLAMA_HOST", ":8080", "server.host", ""),
        ("OLLAMA_HOST", "", "server.host", "127.0.0.1"),
        ("OLLAMA_HOST", "http://10.0.0.1", "server.port", 80),
        ("OLLAMA_HOST", "[::1]:99999", "server.port", 11434),
        ("VLLAMA_HOST", "[::1]", "server.host", "::1"),
        ("VLLAMA_STATE_DIR", "/data", "paths.state", Path("/data")),
        ("VLLAMA_ENGINE_PREFIX", "/opt/e", "engine.prefix", Path("/opt/e")),
    ],
)
def test_environment_variables_as_ollamas_users_set_them(write, name: str, text: str, key: str, value: object):
    found: object = load(write(""), {name: text}).config
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=200))
def test_no_file_brings_anything_but_a_configuration_or_its_errors(tmp_path: Path, text: str):
    path = tmp_path / "any.yaml"
    path.write_bytes(text.encode())
    assert all(problem.startswith(f"{path}:") for problem in outcome(path))


_KEYS = st.sampled_from(
    ["server", "port", "models", "profiles", "small", "gpu", "16", "source", "settings", "x", "keep_alive"]
)
_TREES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text("ab5m ", max_size=4), st.floats(allow_nan=False)),
    lambda inner: st.one_of(st.dictionaries(_KEYS, inner, max_size=3), st.lists(inner, max_size=3)),
    max_leaves=12,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=st.dictionaries(_KEYS, _TREES, max_size=4))
def test_no_tree_of_values_brings_anything_but_a_configuration_or_its_errors(tmp_path: Path, tree: dict[str, object]):
    import yaml

    path = tmp_path / "any.yaml"
    path.write_text(yaml.safe_dump(tree))
    assert all(problem.startswith((f"{path}:", "environment ")) for problem in outcome(path, {"OLLAMA_HOST": "x:1"}))


def test_a_checkout_has_a_configuration_of_its_own(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "vllama.yaml").write_text("server: {port: 11500}")
    environ = {"VLLAMA_CHECKOUT": str(tmp_path)}
    loaded = load_config(None, environ=environ)
    assert (loaded.path, loaded.config.server.port) == (tmp_path / "etc" / "vllama.yaml", 11500)
    (tmp_path / "mine.yaml").write_text("server: {port: 11600}")
    assert load_config(tmp_path / "mine.yaml", environ=environ).config.server.port == 11600


def test_these_tests_run_from_a_checkout():
    assert environment()["VLLAMA_CHECKOUT"] == str(Path(__file__).parents[3])


def test_a_key_that_its_section_does_not_hold_is_a_default(write):
    path = write("server:\n  port: 1\npreload:\n- mini\nmodels:\n  mini: {source: org/mini}\n")
    loaded = load(path)
    assert loaded.origin_of("server.host") == "default"
    assert loaded.origin_of(("models", "mini", "system")) == "default"
    assert loaded.origin_of("server") == f"{path}:1"


def test_what_is_within_a_value_given_whole_has_its_origin(write):
    loaded = load(write("server: {port: 1}\n"), {"OLLAMA_ORIGINS": "http://a.example,http://b.example"})
    assert loaded.origin_of("server.origins.1") == "environment OLLAMA_ORIGINS"


def test_parameters_of_a_model_are_named_and_typed_as_create_takes_them(write):
    path = write(
        "models:\n"
        "  b:\n"
        "    source: org/b\n"
        "    parameters:\n"
        "      temprature: 1\n"
        "      temperature: hot\n"
        "      seed: 1.5\n"
        "      use_mmap: 1\n"
        "      stop: end\n"
    )
    place = "models.b.parameters"
    assert [problem.removeprefix(f"{path}:") for problem in problems(path)] == [
        f"5: {place}.temprature: unknown parameter (did you mean 'temperature'?)",
        f"6: {place}.temperature: must be a number, not 'hot'",
        f"7: {place}.seed: must be a whole number, not 1.5",
        f"8: {place}.use_mmap: must be true or false, not 1",
        f"9: {place}.stop: must be a list of texts, not 'end'",
    ]


def test_right_parameters_are_taken(write):
    parameters = "{temperature: 1, top_p: 0.5, seed: 7, num_ctx: 4096.0, use_mmap: true, stop: [a, b], top_k: null}"
    assert outcome(write(f"models: {{b: {{source: org/b, parameters: {parameters}}}}}\n")) == ()


@pytest.mark.parametrize("host", ["300.1.1.1", "1.2.3.4.5", "127.0.0.1:80", "'[::1]'", "http://x", "a b"])
def test_a_host_that_is_no_address_and_no_name_is_refused(write, host: str):
    (problem,) = problems(write(f"server: {{host: {host}}}\n"))
    assert "server.host: must be an address such as 127.0.0.1 or ::1, or a host name, not" in problem


@pytest.mark.parametrize("host", ["0.0.0.0", "'::'", "'fe80::1%eth0'", "gpu-box.example", "localhost", "'127.1'", "''"])
def test_addresses_and_host_names_are_taken(write, host: str):
    assert outcome(write(f"server: {{host: {host}}}\n")) == ()


@pytest.mark.parametrize("text", ["1.2.3.4.5:x", "127.0.0.1:x", "127.0.0.1:99999", "ftp://127.0.0.1", "[::1]:x"])
def test_our_variable_is_as_strict_as_the_file_and_ollamas_is_not(write, text: str):
    (problem,) = problems(write(""), {"VLLAMA_HOST": text})
    assert problem.startswith("environment VLLAMA_HOST: server.host: must be an address")
    assert load(write(""), {"OLLAMA_HOST": "127.0.0.1:x"}).config.server.port == 11434
