from __future__ import annotations

import math
import string

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from vllama.observe.exposition import merge

ENGINE = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="a"} 1.0
# HELP vllm:time_to_first_token_seconds Histogram of time to first token in seconds.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_bucket{engine="0",le="0.1"} 2.0
vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf"} 3.0
vllm:time_to_first_token_seconds_count{engine="0"} 3.0
vllm:time_to_first_token_seconds_sum{engine="0"} 0.5
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 34.0
"""
OWN = """# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 12.0
"""


def test_every_family_has_one_help_and_one_type_and_its_samples_together():
    text = merge(OWN, {"a:latest": ENGINE, "b:latest": ENGINE})
    assert text.count("# TYPE vllm:num_requests_running gauge") == 1
    assert text.count("# HELP process_open_fds") == 1
    lines = [line for line in text.splitlines() if line.startswith("process_open_fds")]
    assert lines == [
        "process_open_fds 12.0",
        'process_open_fds{model="a:latest"} 34.0',
        'process_open_fds{model="b:latest"} 34.0',
    ]
    start = text.splitlines().index(lines[0])
    assert text.splitlines()[start : start + 3] == lines


def test_prometheus_reads_the_merged_text():
    families = {family.name: family for family in text_string_to_metric_families(merge(OWN, {"a": ENGINE}))}
    running = families["vllm:num_requests_running"].samples
    assert [(s.labels, s.value) for s in running] == [({"model": "a", "engine": "0", "model_name": "a"}, 1.0)]
    buckets = [s for s in families["vllm:time_to_first_token_seconds"].samples if s.name.endswith("_bucket")]
    assert [(s.labels["le"], s.labels["model"]) for s in buckets] == [("0.1", "a"), ("+Inf", "a")]


def test_an_own_model_label_is_kept_as_exported_model():
    assert merge("", {"a": 'x{model="q",b="c"} 1\n'}) == 'x{model="a",exported_model="q",b="c"} 1\n'


def test_odd_model_names_are_escaped():
    assert merge("", {'a"\\\n': "x 1\n"}) == 'x{model="a\\"\\\\\\n"} 1\n'


def test_garbage_lines_are_dropped_and_the_rest_is_kept():
    text = 'x 1\n{} 3\nx{ 2\nx{a="b} 2\n<html>\n# nonsense\nx{a="}, {"} NaN 123\n# EOF\nx one\n\x00\n'
    assert merge("", {"m": text}) == 'x{model="m"} 1\nx{model="m",a="}, {"} NaN 123\n'


def test_an_engine_without_metrics_adds_nothing():
    assert merge(OWN, {"a": ""}) == OWN


@given(st.text(alphabet=string.printable), st.text())
def test_never_fails_and_makes_text_that_prometheus_reads(garbage, model):
    list(text_string_to_metric_families(merge(OWN, {model: ENGINE + garbage})))


@given(st.floats(allow_nan=False), st.dictionaries(st.from_regex(r"[a-z]{2,5}", fullmatch=True), st.text(), max_size=3))
def test_labels_and_values_survive(value, labels):
    def escape(text):
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    inner = ",".join(f'{k}="{escape(v)}"' for k, v in labels.items())
    merged = merge("", {"m": f"x{{{inner}}} {value}".removesuffix("inf") + ("Inf\n" if math.isinf(value) else "\n")})
    (family,) = text_string_to_metric_families(merged)
    assert family.samples[0].labels == {"model": "m", **labels}
    assert family.samples[0].value == value
