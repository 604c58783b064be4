from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.progress import Progress, reached, read_line


@pytest.mark.parametrize(
    ("line", "stage"),
    [
        ("Loading safetensors checkpoint shards:  62% Completed | 5/8 [00:01<00:01]", "loading weights 62 %"),
        ("Capturing CUDA graphs (mixed prefill-decode, PIECEWISE):  40%|████", "capturing CUDA graphs 40 %"),
        ("Warming up model for the compilation...", "warming up"),
        ("init engine (profile, create kv cache, warmup model) took 2.98 s", "engine core is ready"),
        ("Application startup complete.", "opening its socket"),
    ],
)
def test_a_stage_line_becomes_peoples_words(line, stage):
    progress = Progress()
    assert progress.feed(line)
    assert progress.stage == stage
    assert not progress.feed(line), "the same stage twice is no news"


def test_a_load_comes_nearer_to_its_end_with_each_stage():
    progress, seen = Progress(), []
    for line in (
        "vLLM server version 0.32.0",
        "non-default args: {}",
        "Resolved architecture: LlamaForCausalLM",
        "Initializing a V1 LLM engine",
        "Starting to load model",
        "Loading safetensors checkpoint shards:  50% Completed | 1/2",
        "Loading safetensors checkpoint shards: 100% Completed | 2/2",
        "Model loading took 0.3 GiB",
        "Using cache directory: /c/torch_compile_cache/ab/rank_0_0/backbone for vLLM's torch.compile",
        "GPU KV cache size: 524,288 tokens",
        "Capturing CUDA graphs (decode):  40%|████",
        "init engine (profile, create kv cache, warmup model) took 2.98 s",
        "Application startup complete.",
    ):
        progress.feed(line)
        seen.append(reached(progress.stage))
    assert None not in seen
    assert seen == sorted(seen)
    assert (seen[5], seen[6]) == (52.5, 65)
    assert seen[-1] < 100


@given(st.text())
def test_other_words_are_no_part_of_a_start(stage):
    assert reached(stage) is None
    assert reached(f"{stage} 50 %") is None


@pytest.mark.parametrize("outcome", ["compiling", "compiling again", "loading compiled code"])
def test_how_far_a_start_is_while_it_gets_its_code(outcome):
    assert reached("weights loaded") < reached(outcome) < reached("KV cache ready")


def test_the_capacity_of_the_kv_cache_is_read():
    progress = Progress()
    progress.feed("CPU KV cache size: 524,288 tokens, Maximum concurrency for 2,048 tokens per request: 256.00x")
    assert progress.kv_tokens == 524_288


def test_a_json_record_keeps_its_level_process_and_traceback_together():
    line = read_line(
        '{"levelname":"ERROR","message":"boom","exc_info":"Traceback\\n  x","vllm_process_name":"EngineCore"}'
    )
    assert line is not None
    assert (line.level, line.text, line.process) == (logging.ERROR, "boom\nTraceback\n  x", "EngineCore")


def test_a_text_record_loses_its_prefix():
    line = read_line("(Worker pid=3128) WARNING 11-21 14:20:54 [cpu_worker.py:114] libtcmalloc is not found")
    assert line is not None
    assert (line.level, line.text, line.process) == (logging.WARNING, "libtcmalloc is not found", "Worker")


def test_colours_are_removed_and_blank_lines_say_nothing():
    assert read_line("\x1b[31mINFO:     ready\x1b[0m").text == "ready"
    assert read_line("\x1b[0m   ") is None


@given(st.text())
def test_no_line_breaks_the_reader(raw):
    line = read_line(raw)
    if line is not None:
        Progress().feed(line.text)


@pytest.mark.parametrize(
    "line", ["saved AOT compiled function to {}", "rank 0: Directly load AOT compilation from path {}"]
)
def test_the_file_of_compiled_code_is_known_once_it_was_saved_or_loaded(line):
    progress = Progress()
    progress.feed("unable to save AOT compiled function to /c/model: no space")
    progress.feed("Compiling model again due to a load failure from /c/model, reason: x")
    assert progress.code == ""
    progress.feed(line.format("/c/a b/model"))
    assert progress.code == "/c/a b/model"
