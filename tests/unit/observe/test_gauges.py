"""What is read of an engine's metrics."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vllama.observe.gauges import Gauges, read_gauges

TEXT = """# HELP vllm:num_requests_running Number of requests in model execution batches.
vllm:num_requests_running{engine="0",model_name="tiny"} 3.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 2.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.25
vllm:prompt_tokens_total{engine="0",model_name="tiny"} 1200.0
vllm:generation_tokens_total{engine="0",model_name="tiny"} 340.0
vllm:generation_tokens_created{engine="0",model_name="tiny"} 1.7e9
"""


def test_each_number_is_found():
    assert read_gauges(TEXT) == Gauges(3, 2, 0.25, 1200, 340)


def test_several_cores_are_summed_and_the_fullest_cache_counts():
    both = read_gauges(TEXT + TEXT.replace('engine="0"', 'engine="1"').replace(" 0.25", " 0.75"))
    assert (both.running, both.generated_tokens, both.kv_used) == (6, 680, 0.75)


def test_what_an_engine_does_not_say_is_unknown():
    assert read_gauges("") == Gauges()


@given(st.text())
def test_any_text_can_be_read(text):
    read_gauges(text)
    read_gauges(f"vllm:kv_cache_usage_perc {text}\n")
