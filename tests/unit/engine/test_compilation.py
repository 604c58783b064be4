"""What a start says about compiled code, in the words of vLLM 0.32, torch 2.13 and our plugin."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.engine.compilation import CompilationReport
from vllama.engine.progress import Progress

FOLDER = "/c/vllm/torch_compile_cache/torch_aot_compile/7a64"
MODEL = f"{FOLDER}/rank_0_0/model"
SAVED = f"[backbone] saved AOT compiled function to {MODEL}"
AGAIN = f"[backbone] Compiling model again due to a load failure from {MODEL}, reason: 'function' object has no"


def after(*lines: str) -> CompilationReport:
    compilation = CompilationReport()
    for line in lines:
        compilation.feed(line)
    return compilation


def test_a_first_start_compiles_and_says_so_while_it_lasts():
    compilation = after("Warming up model for the compilation...")
    assert (compilation.code, compilation.doing) == ("", "")
    assert compilation.feed(f"compiling: no code is kept in {MODEL}")
    assert compilation.doing == "compiling"
    compilation.feed(SAVED)
    compilation.feed("Warming up done.")
    assert (compilation.code, compilation.doing, compilation.fault) == ("compiled", "", "")
    assert compilation.folders == (FOLDER,)


def test_a_second_start_loads():
    compilation = CompilationReport()
    assert compilation.feed(f"loading compiled code from {MODEL}")
    assert (compilation.code, compilation.doing) == ("", "loading compiled code")
    compilation.feed(f"[backbone] Directly load AOT compilation from path {MODEL}")
    compilation.feed("CPU KV cache size: 209,664 tokens")
    assert (compilation.code, compilation.doing, compilation.fault) == ("loaded", "", "")
    assert compilation.folders == (FOLDER,)


def test_code_that_is_thrown_away_is_a_fault_with_its_first_reason():
    compilation = after(
        f"loading compiled code from {MODEL}", f"{AGAIN} x", AGAIN.replace("'function'", "other"), SAVED
    )
    assert compilation.code == "compiled"
    assert compilation.doing == "compiling again"
    assert compilation.fault == "what was kept can't be used ('function' object has no x)"


def test_code_that_cannot_be_kept_is_the_greater_fault():
    compilation = after(AGAIN, f"unable to save AOT compiled function to {MODEL}: [Errno 28] No space left on device")
    assert compilation.fault == "what it compiled can't be kept ([Errno 28] No space left on device)"


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (["[backbone] Starting torch.compile"], "compiled"),
        (["[backbone] Directly load the compiled graph(s) for compile range (1, 8192) from the cache"], "loaded"),
        (["loading compiled code from /a/b/c", "Compiling a graph for compile range (1, 8192) takes 9 s"], "compiled"),
        (["[backbone] Dynamo bytecode transform time: 4.66 s"], ""),  # printed by a load, too
        (["torch.compile took 5.51 s in total"], ""),
    ],
)
def test_the_graphs_of_a_gpu_are_loaded_or_compiled_as_well(lines, code):
    assert after(*lines).code == code


def test_the_folder_of_graphs_is_known():
    line = "[backbone] Using cache directory: /c/torch_compile_cache/ab12/rank_0_0/backbone for vLLM's torch.compile"
    assert after(line).folders == ("/c/torch_compile_cache/ab12",)


@pytest.mark.parametrize(
    "line",
    [
        "W1130 fx graph cache unable to load compiled graph",
        "Ignoring corrupt local cache entry k: EOFError: x",
        "fx graph unable to write to cache",
        "AOTAutograd cache unable to serialize compiled graph: x",
        "Ignoring unreadable startup plan /c/plan.json: x",
        "vLLM's torch.compile cache is disabled.",
    ],
)
def test_what_torch_cannot_use_or_keep_is_a_fault_too(line):
    assert after(line).fault


def test_the_stage_of_a_load_says_what_goes_on():
    progress = Progress()
    stages = [
        ("Warming up model for the compilation...", "warming up"),
        (f"loading compiled code from {MODEL}", "loading compiled code"),
        (AGAIN, "compiling again"),
        ("CPU KV cache size: 209,664 tokens", "KV cache ready"),
    ]
    for line, stage in stages:
        assert progress.feed(line)
        assert progress.stage == stage


@given(st.lists(st.text()))
def test_no_output_breaks_the_reader(lines):
    after(*lines)
