"""What an engine's log says of its memory, for the next plan."""

from __future__ import annotations

from vllama.fit.reported import Basis, measured
from vllama.fit.sums import ReportedMemory

GIB = 1 << 30
OF_A_SHARE = Basis("key", context=8192, kv_cache=0, share=72 * GIB)
SIZED = Basis("key", context=8192, kv_cache=4 * GIB, share=None)
UNKNOWN = Basis("key", context=8192, kv_cache=0, share=None)


def test_of_a_share_all_that_is_neither_weights_nor_cache_is_overhead():
    assert measured(OF_A_SHARE, weights=16 * GIB, kv_memory=40 * GIB, kv_tokens=81920) == ReportedMemory(
        16 * GIB, 16 * GIB, 4 * GIB, 8192
    )


def test_a_cache_of_its_own_size_is_measured_by_its_tokens_alone():
    assert measured(SIZED, weights=0, kv_memory=0, kv_tokens=16384) == ReportedMemory(0, 0, 2 * GIB, 8192)
    assert measured(SIZED, weights=2 * GIB, kv_memory=4 * GIB, kv_tokens=0) == ReportedMemory(2 * GIB, 0, 0, 0)


def test_figures_that_the_log_rounds_too_roughly_are_left_out():
    assert measured(UNKNOWN, weights=5 << 20, kv_memory=0, kv_tokens=16384) is None
    assert measured(OF_A_SHARE, weights=5 << 20, kv_memory=5 << 20, kv_tokens=16384) == ReportedMemory(
        overhead=72 * GIB - (10 << 20)
    )


def test_where_the_size_of_the_gpu_is_unknown_only_the_weights_are_learnt():
    assert measured(UNKNOWN, weights=2 * GIB, kv_memory=4 * GIB, kv_tokens=16384) == ReportedMemory(2 * GIB)
