from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fit.machines import choose, cpu, facts, gpu, model
from vllama.engine import plugins
from vllama.engine.command import ENTRY, build_spec, traced
from vllama.engine.spec import EngineSpec
from vllama.errors import ConfigError, EngineError
from vllama.fit.hardware import Hardware
from vllama.models.model import Attention, Facts

CHAT = facts(1_855_840, context_length=2048, tool_parser="hermes", reasoning_parser="qwen3")
EMBEDDER = facts(22_000_000, task="embed", dtype="float32", context_length=256, attention=Attention())
KNOWN = frozenset(
    {
        "--model",
        "--served-model-name",
        "--uds",
        "--disable-uvicorn-access-log",
        "--logging-config",
        "--shutdown-timeout",
        "--runner",
        "--max-model-len",
        "--max-num-seqs",
        "--max-num-batched-tokens",
        "--gpu-memory-utilization",
        "--kv-cache-dtype",
        "--kv-cache-memory-bytes",
        "--dtype",
        "--quantization",
        "--tensor-parallel-size",
        "--enable-prefix-caching",
        "--no-enable-prefix-caching",
        "--enforce-eager",
        "--enable-per-request-metrics",
        "--enable-prompt-tokens-details",
        "--structured-outputs-config",
        "--speculative-config",
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "--tool-parser-plugin",
        "--reasoning-parser",
        "--enable-lora",
        "--max-lora-rank",
        "--max-loras",
        "--stream-interval",
        "--api-key",
        "--distributed-executor-backend",
        "--nnodes",
        "--pipeline-parallel-size",
    }
)


@dataclass(frozen=True)
class Installed:
    """An engine that knows all we use."""

    flags: frozenset[str] = KNOWN
    python: Path = Path("/engine/bin/python")
    version: str = "0.32.0"
    tool_parsers: frozenset[str] = frozenset({"hermes", "mistral"})
    reasoning_parsers: frozenset[str] = frozenset({"qwen3"})

    def supports(self, flag: str) -> bool:
        return flag.partition("=")[0].partition(".")[0] in self.flags


def build(
    found: Facts = CHAT,
    hardware: Hardware | None = None,
    config: dict[str, Any] | None = None,
    engine: Installed | None = None,
    lora_rank: int = 0,
    **more: Any,
) -> EngineSpec:
    hardware = hardware or cpu()
    settings = choose(found, hardware, config)
    return build_spec(
        replace(model(found), lora_rank=lora_rank, lora_count=5),
        settings,
        hardware,
        engine or Installed(),
        name="mini",
        **{"socket": Path("/run/v/mini.sock"), "cache": Path("/var/cache/v"), "environ": {}, **more},
    )


def value_of(spec: EngineSpec, flag: str) -> str:
    return spec.argv[spec.argv.index(flag) + 1]


def test_a_chat_model_on_a_cpu():
    spec = build()
    assert spec.argv[:3] == ("/engine/bin/python", "-m", ENTRY)
    expected = {
        "--model": "/models/mini",
        "--served-model-name": "mini",
        "--uds": "/run/v/mini.sock",
        "--max-model-len": "2048",
        "--max-num-seqs": "512",
        "--dtype": "bfloat16",
        "--tool-call-parser": "hermes",
        "--reasoning-parser": "qwen3",
        "--logging-config.formatter": "json",
        "--shutdown-timeout": "0",
    }
    assert {flag: value_of(spec, flag) for flag in expected} == expected
    for flag in (
        "--enable-auto-tool-choice",
        "--enable-per-request-metrics",
        "--enable-prompt-tokens-details",
        "--enforce-eager",
    ):
        assert flag in spec.argv
    assert json.loads(value_of(spec, "--structured-outputs-config")) == {
        "backend": "xgrammar",
        "disable_any_whitespace": True,
    }
    assert (spec.task, spec.served_name, spec.size_vram, spec.notes) == ("generate", "mini", 0, ())
    assert spec.size > 1 << 30


def test_an_engine_on_a_cpu_sleeps_where_swap_space_holds_all_of_it():
    spec = build(CHAT, replace(cpu(), swap_free=64 << 30), sleep=True)
    assert 0 < spec.asleep < spec.size
    assert spec.env["VLLAMA_PAGING"] == "1"
    assert "VLLM_SERVER_DEV_MODE" not in spec.env
    for swap, sleep in ((1 << 20, True), (64 << 30, False)):
        other = build(CHAT, replace(cpu(), swap_free=swap), sleep=sleep)
        assert other.asleep == 0
        assert ("VLLAMA_PAGING" in other.env) == sleep, "what is compiled is found again whatever swap space is free"
    assert "too little swap space" in build(CHAT, cpu(), sleep=True).notes[-1]


def test_an_engine_on_a_gpu_is_able_to_sleep_where_that_is_wanted():
    able = Installed(KNOWN | {"--enable-sleep-mode"})
    spec = build(facts(), gpu(24), engine=able, sleep=True)
    assert "--enable-sleep-mode" in spec.argv
    assert spec.env["VLLM_SERVER_DEV_MODE"] == "1"
    assert 0 < spec.asleep < spec.size_vram
    for other in (
        build(facts(), gpu(24), engine=able),
        build(facts(), gpu(24), sleep=True),
        build(CHAT, cpu(), engine=able, sleep=True),
    ):
        assert "--enable-sleep-mode" not in other.argv
        assert "VLLM_SERVER_DEV_MODE" not in other.env
        assert other.asleep == 0


def test_an_embedder_has_none_of_the_flags_for_text():
    spec = build(EMBEDDER)
    assert value_of(spec, "--runner") == "pooling"
    assert value_of(spec, "--dtype") == "float32"
    for flag in (
        "--enable-auto-tool-choice",
        "--tool-call-parser",
        "--tool-parser-plugin",
        "--structured-outputs-config",
        "--enable-per-request-metrics",
    ):
        assert flag not in spec.argv


@pytest.mark.parametrize(
    ("own", "at_once"), [([], 512), (["--max-num-seqs=7"], 7), (["--max-num-seqs", "9", "--stream-interval=2"], 9)]
)
def test_it_is_known_how_many_requests_are_computed_together(own: list[str], at_once: int):
    spec = build(config={"models": {"mini": {"source": "x/y", "settings": {"extra_args": own}}}})
    assert spec.max_requests == at_once


def test_a_gpu_has_no_cpu_environment():
    spec = build(hardware=gpu(80))
    assert spec.size > spec.weights + spec.kv_cache > spec.kv_cache > 0
    assert spec.weights > 0
    assert not [name for name in spec.env if "CPU" in name or name == "LD_PRELOAD"]
    assert spec.size_vram == spec.size > 0
    assert value_of(spec, "--max-num-batched-tokens") == "8192"
    assert "--dtype" not in spec.argv


def test_the_environment_is_whole_and_ours():
    environ = {
        "PATH": "/bin",
        "HOME": "/root",
        "HF_TOKEN": "secret",
        "VLLM_PORT": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/x",
        "CUDA_VISIBLE_DEVICES": "1",
        "NCCL_DEBUG": "INFO",
        "LANG": "C.UTF-8",
    }
    env = build(environ=environ).env
    assert {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1", "NCCL_DEBUG": "INFO", "LANG": "C.UTF-8"}.items() <= env.items()
    assert not {"HF_TOKEN", "VLLM_PORT", "PYTHONDONTWRITEBYTECODE"} & env.keys()
    assert env["PYTHONPATH"] == str(plugins.FOLDER)
    assert (env["VLLM_CPU_OMP_THREADS_BIND"], env["OMP_NUM_THREADS"]) == ("nobind", "4")
    assert env["HF_HUB_OFFLINE"] == "1"
    assert int(env["VLLM_MAX_STOP_STRINGS"]) >= 64
    assert int(env["VLLM_HTTP_TIMEOUT_KEEP_ALIVE"]) >= 75
    assert (env["HOME"], env["VLLM_CACHE_ROOT"], env["TMPDIR"]) == (
        "/var/cache/v",
        "/var/cache/v/vllm",
        "/run/v/mini",
    )
    assert "VLLM_CPU_KVCACHE_SPACE" not in env  # whole GiB, and stronger than the exact flag


def test_libraries_are_preloaded_on_a_cpu_only():
    libraries = (Path("/e/tcmalloc.so"), Path("/e/libiomp5.so"))
    assert build(preload=libraries).env["LD_PRELOAD"] == "/e/tcmalloc.so:/e/libiomp5.so"
    assert "LD_PRELOAD" not in build(hardware=gpu(80), preload=libraries).env


def test_a_persons_environment_wins():
    config = {"profiles": {"small": {"env": {"VLLM_LOGGING_LEVEL": "DEBUG", "HF_HUB_OFFLINE": "0"}}}}
    env = build(config=config).env
    assert (env["VLLM_LOGGING_LEVEL"], env["HF_HUB_OFFLINE"]) == ("DEBUG", "0")


def test_every_setting_becomes_its_flag():
    settings = {
        "max_num_batched_tokens": 4096,
        "gpu_memory_utilization": 0.5,
        "kv_cache_dtype": "fp8",
        "kv_cache_memory": "1GiB",
        "dtype": "float16",
        "quantization": "fp8",
        "tensor_parallel_size": 2,
        "prefix_caching": False,
        "speculative": {"method": "ngram"},
        "enforce_eager": True,
        "extra_args": ["--stream-interval", "4"],
    }
    spec = build(config={"profiles": {"small": settings}}, hardware=gpu(80, count=2))
    expected = {
        "--max-num-batched-tokens": "4096",
        "--gpu-memory-utilization": "0.5",
        "--kv-cache-dtype": "fp8",
        "--kv-cache-memory-bytes": str(1 << 30),
        "--dtype": "float16",
        "--quantization": "fp8",
        "--tensor-parallel-size": "2",
        "--speculative-config": '{"method": "ngram"}',
        "--stream-interval": "4",
    }
    assert {flag: value_of(spec, flag) for flag in expected} == expected
    assert "--no-enable-prefix-caching" in spec.argv
    assert spec.argv[-2:] == ("--stream-interval", "4")


@pytest.mark.parametrize(("rank", "room"), [(1, "8"), (16, "16"), (65, "128"), (512, "512")])
def test_adapters_get_room_in_their_bases_engine(rank: int, room: str):
    spec = build(lora_rank=rank)
    assert "--enable-lora" in spec.argv
    assert value_of(spec, "--max-lora-rank") == room
    assert value_of(spec, "--max-loras") == "4"
    assert spec.lora_rank == int(room)
    assert spec.env["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "1"


def test_a_base_without_adapters_pays_nothing_for_them():
    spec = build()
    assert "--enable-lora" not in spec.argv
    assert "VLLM_ALLOW_RUNTIME_LORA_UPDATING" not in spec.env
    assert spec.lora_rank == 0


def test_an_unknown_flag_is_left_out_with_a_note():
    spec = build(engine=Installed(flags=KNOWN - {"--enable-prompt-tokens-details"}))
    assert "--enable-prompt-tokens-details" not in spec.argv
    assert spec.notes == ("--enable-prompt-tokens-details left out: vLLM 0.32.0 does not know it",)


@pytest.mark.parametrize("flag", ["--model", "--uds", "--served-model-name", "--max-model-len"])
def test_an_engine_without_an_essential_flag_is_refused(flag: str):
    with pytest.raises(EngineError, match=f"does not know {flag}") as caught:
        build(engine=Installed(flags=KNOWN - {flag}))
    assert "vllama engine install" in caught.value.hint


def test_all_wrong_flags_of_a_person_are_reported_at_once():
    config = {
        "models": {
            "mini": {
                "source": "a/b",
                "settings": {"extra_args": ["--num-scheduler-steps", "8", "--uds=/x", "--stream-interval=2"]},
            }
        }
    }
    with pytest.raises(ConfigError) as caught:
        build(config=config)
    assert caught.value.problems == (
        "models.mini.settings.extra_args: vLLM 0.32.0 does not know --num-scheduler-steps",
        "models.mini.settings.extra_args: --uds is set by vLLama itself",
    )


def test_a_parser_may_be_chosen_or_switched_off():
    config = {"profiles": {"small": {"tool_parser": "mistral", "reasoning_parser": "none"}}}
    spec = build(config=config)
    assert value_of(spec, "--tool-call-parser") == "mistral"
    assert "--reasoning-parser" not in spec.argv


def test_a_parser_that_a_person_named_must_exist():
    with pytest.raises(ConfigError, match="no tool parser 'hermse'") as caught:
        build(config={"profiles": {"small": {"tool_parser": "hermse"}}})
    assert "hermes, mistral" in caught.value.hint


def test_a_parser_that_this_vllm_lacks_is_left_out():
    spec = build(engine=Installed(tool_parsers=frozenset(), reasoning_parsers=frozenset()))
    assert "--enable-auto-tool-choice" not in spec.argv
    assert spec.notes == ("no tool parser: this vLLM has no 'hermes'", "no reasoning parser: this vLLM has no 'qwen3'")


def test_a_socket_path_that_no_kernel_takes_is_refused():
    with pytest.raises(ConfigError, match="too long") as caught:
        build(socket=Path("/run") / ("x" * 110))
    assert "paths.runtime" in caught.value.hint


def test_equal_inputs_make_equal_specs():
    assert build() == build()


def test_compiled_code_is_found_again_whatever_socket_and_scratch_directory_an_engine_gets():
    one, other = (build(socket=Path(f"/run/{place}/mini.sock")).env for place in ("a", "b"))
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {"TMPDIR", "VLLM_RPC_BASE_PATH"}
    for name in ("VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert one[name].startswith("/var/cache/v/")


def test_what_the_processes_of_an_engine_say_stays_on_this_machine():
    def interfaces(values: dict[str, Any], **environ: str) -> set[str | None]:
        models = {"mini": {"source": "/m", "settings": values}}
        engine = Installed(flags=KNOWN | {"--pipeline-parallel-size", "--nnodes"})
        built = build(config={"context_length": 2048, "models": models}, engine=engine, environ=environ)
        return {built.env.get(f"{library}_SOCKET_IFNAME") for library in ("GLOO", "NCCL")}

    assert interfaces({}) == {"lo"}  # a single one listens, too
    assert interfaces({"tensor_parallel_size": 2}) == {"lo"}
    assert interfaces({"extra_args": ["--pipeline-parallel-size", "2"]}) == {"lo"}
    assert interfaces({"extra_args": ["--nnodes", "2", "--pipeline-parallel-size=2"]}) == {None}
    chosen = {"GLOO_SOCKET_IFNAME": "eth1", "NCCL_SOCKET_IFNAME": "eth1"}
    assert interfaces({"tensor_parallel_size": 2}, **chosen) == {"eth1"}


def test_a_persons_own_modules_and_plugins_are_found_as_well_as_ours():
    def plugged(**env: str) -> EngineSpec:
        return build(config={"profiles": {"small": {"env": env}}})

    assert plugged(PYTHONPATH="/mine").env["PYTHONPATH"] == f"{plugins.FOLDER}:/mine"
    assert "VLLM_PLUGINS" not in plugged().env  # all are loaded
    for chosen, loaded in (("theirs", "theirs,vllama"), ("", "vllama"), ("vllama,theirs", "vllama,theirs")):
        spec = plugged(VLLM_PLUGINS=chosen)
        assert spec.env["VLLM_PLUGINS"] == loaded
        assert any("VLLM_PLUGINS" in note for note in spec.notes) == (chosen != loaded)


def test_a_traced_engine_sends_its_spans_to_the_receiver():
    spec = traced(build(), "http://127.0.0.1:4318", Installed(KNOWN | {"--otlp-traces-endpoint"}))
    assert value_of(spec, "--otlp-traces-endpoint") == "http://127.0.0.1:4318/v1/traces"
    assert spec.env["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] == "http/protobuf"


def test_a_persons_own_receiver_wins():
    spec = build()
    own = replace(spec, argv=(*spec.argv, "--otlp-traces-endpoint=http://other:4317"))
    assert traced(own, "http://127.0.0.1:4318", Installed(KNOWN | {"--otlp-traces-endpoint"})) == own


def test_an_engine_that_knows_no_traces_is_started_without():
    spec = traced(build(), "http://127.0.0.1:4318", Installed(KNOWN))
    assert "--otlp-traces-endpoint" not in spec.argv
    assert any("no traces" in note for note in spec.notes)
