from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.diagnose import diagnose

# what vLLM 0.32 printed -> the code and a word that people must read
SEEN = [
    (2, "vllm: error: unrecognized arguments: --no-such-flag", "bad_flag", "--no-such-flag", True),
    (2, "vllm serve: error: argument --dtype: invalid choice: 'float8' (choose from auto)", "bad_flag", "float8", True),
    (1, "huggingface_hub.errors.HFValidationError: Repo id must be in the form 'repo_name'", "bad_model", "not on this machine", True),
    (1, "  Value error, Invalid repository ID or local directory specified: '/m/x'.", "bad_model", "/m/x", True),
    (1, "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot", "bad_model", "not on this machine", True),
    (1, "OSError: We couldn't connect to 'https://hub.example' to load the files", "no_network", "reached", False),
    (1, "OSError: You are trying to access a gated repo.", "gated", "gated", True),
    (1, "  Value error, Model architectures ['FooForCausalLM'] are not supported for now. Supported: dict_keys([", "unsupported_model", "FooForCausalLM", True),
    (1, "  Value error, The checkpoint you are trying to load has model type `foobar` but Transformers does not recognize this", "unsupported_model", "foobar", True),
    (1, "ValueError: Couldn't instantiate the backend tokenizer from one of: ", "bad_model", "tokenizer", True),
    (1, "(Worker pid=7) ERROR 11-20 08:30:22 [x.py:1] RuntimeError: Cannot find any model weights with `/m`", "bad_model", "no weights", True),
    (1, "safetensors._safetensors_rust.SafetensorError: Error while deserializing header: incomplete metadata", "bad_model", "damaged", True),
    (1, "OSError: It looks like the config file at '/m/x.gguf' is not a valid JSON file.", "unsupported_model", "GGUF", True),
    (1, "  Value error, Unknown quantization method: bitsandbytes. Must be one of ['awq']", "unsupported_model", "bitsandbytes", True),
    (1, "  Value error, User-specified max_model_len (8192) is greater than the derived max_model_len (max_position_embeddings=4096.0 or", "context_too_long", "8192", True),
    (1, "OSError: [Errno 98] Address already in use", "socket_busy", "in use", False),
    (1, "ValueError: Available memory on node 0 (15.14/18.21 GiB) on kv cache allocation is less than requested memory for kv (400.0 GiB). Decrease", "kv_cache_too_big", "400.0 GiB", True),
    (1, "ValueError: To serve at least one request, the estimated maximum model length is 384. Try increasing", "kv_cache_too_small", "384", True),
    (1, "RuntimeError: The size of tensor a (512) must match the size of tensor b (256) at non-singleton dimension 1", "bad_model", "512", True),
    (1, "AssertionError: Not enough allowed NUMA nodes to bind threads of 4 local CPUWorkers.", "bad_flag", "NUMA", True),
    (1, "KeyError: 'invalid tool call parser: nosuch (chose from { hermes })'", "bad_flag", "nosuch", True),
    (1, "KeyError: \"Reasoning parser 'nosuch' not found. Available parsers: qwen3\"", "bad_flag", "nosuch", True),
    (1, "TypeError: --tool-call-parser mistral cannot be used with the tokenizer of '/m': Mistral parser", "bad_flag", "mistral", True),
    (1, "  Value error, Sleep mode is not supported on current platform. [type=value_error, input", "bad_flag", "sleep", True),
    (1, "ValueError: Free memory on device cuda:0 (1.0/24.0 GiB) on startup is less than desired", "gpu_busy", "cuda:0", True),
    (1, "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB", "out_of_memory", "memory", True),
    (1, "RuntimeError: Failed to infer device type, please set", "no_device", "device", True),
    (1, "TimeoutError: Timed out waiting for engine core processes to start", "start_timeout", "in time", False),
    (1, "importlib.metadata.PackageNotFoundError: No package metadata was found for vllm", "engine_broken", "installation", True),
]  # fmt: skip
USELESS = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


@pytest.mark.parametrize(("status", "line", "code", "word", "permanent"), SEEN)
def test_each_failure_of_vllm_has_its_cause(status, line, code, word, permanent):
    cause = diagnose(status, ["INFO something", line, USELESS])
    assert cause.code == code
    assert word in cause.text
    assert cause.permanent is permanent


def test_an_exit_with_status_0_that_nobody_asked_for_is_a_crash():
    cause = diagnose(0, ["INFO: Application shutdown complete."])
    assert (cause.code, cause.permanent) == ("crashed", False)
    assert "status 0" in cause.text


def test_a_sigkill_points_at_the_kernels_memory_killer():
    assert "lack of memory" in diagnose(-9, []).text


@pytest.mark.parametrize(("status", "word"), [(-9, "lack of memory"), (-11, "SIGSEGV"), (-7, "SIGBUS")])
def test_a_signal_that_ended_the_engine_core_counts_although_its_server_ended_by_itself(status, word):
    assert word in diagnose(1, [USELESS.replace("{}", f"{{'EngineCore': {status}}}")]).text


def test_a_core_that_gave_up_after_an_error_is_reported_with_its_error():
    aborted = USELESS.replace("{}", f"{{'EngineCore': {-6}}}")
    assert "no such thing" in diagnose(1, ["(EngineCore pid=7) RuntimeError: no such thing", aborted]).text


def test_what_the_kernel_says_it_killed_ran_out_of_memory_whatever_the_others_print():
    for status, lines in ((-9, []), (1, ["RuntimeError: Worker proc VllmWorker-0 died unexpectedly", USELESS])):
        cause = diagnose(status, lines, oom_killed=True)
        assert (cause.code, cause.memory, cause.permanent) == ("out_of_memory", True, False)


def test_an_illegal_instruction_points_at_the_build():
    assert "SIGILL" in diagnose(-4, []).text


def test_the_root_cause_is_reported_and_not_the_useless_last_line():
    lines = [
        "(Worker pid=9) ERROR 11-20 08:30:22 [w.py:3] ZeroDivisionError: the true reason",
        "(EngineCore pid=8) ERROR 11-20 08:30:23 [c.py:3] RuntimeError: worker failed",
        USELESS,
    ]
    assert "the true reason" in diagnose(1, lines).text


@given(st.one_of(st.none(), st.integers(-70, 300)), st.lists(st.text(max_size=200), max_size=20))
def test_no_output_breaks_the_diagnosis(status, lines):
    assert diagnose(status, lines).text
