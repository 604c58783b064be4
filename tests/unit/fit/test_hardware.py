from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.fit.machines import cpu, gpu
from vllama.fit.gpu import detect, first_threads, has_fast_bf16, read_nvidia_smi, read_rocm_smi
from vllama.fit.hardware import Gpu, Hardware, cpu_list
from vllama.fit.numa import node_available


@pytest.mark.parametrize(
    ("memory", "name"),
    [
        (12, "16"),
        (15.99, "16"),
        (23.99, "24"),
        (31.8, "32"),
        (47.5, "32"),
        (79.6, "80"),
        (95, "80"),
        (140.4, "141"),
        (180, "141"),
    ],
)
def test_cards_belong_to_the_class_of_their_memory(memory: float, name: str):
    assert gpu(memory).gpu_class == name


def test_no_card_is_the_cpu_class():
    assert cpu().gpu_class == "cpu"
    assert gpu(80).for_backend("cpu").gpu_class == "cpu"
    assert gpu(80).for_backend("cuda").gpu_class == "80"


def test_eight_bit_floats_come_with_ada():
    assert [gpu(24, capability).fp8 for capability in ((8, 6), (8, 9), (12, 0), None)] == [False, True, True, True]


@pytest.mark.parametrize(
    ("cores", "text"), [((0, 1), "0-1"), ((5,), "5"), ((3, 0, 1, 2, 7, 9, 8), "0-3,7-9"), ((), ""), ((0, 2), "0,2")]
)
def test_cores_are_written_as_lists(cores: tuple[int, ...], text: str):
    assert cpu_list(cores) == text


def test_nvidia_smi_is_read():
    text = (
        "0, NVIDIA GeForce RTX 4090, 24564, 24000, 8.9, Enabled\n"
        "1, NVIDIA A100-SXM4-80GB, 81920, 80000, 8.0, Disabled\n"
    )
    first, second = read_nvidia_smi(text)
    assert first == Gpu(0, "NVIDIA GeForce RTX 4090", 24564 << 20, 24000 << 20, (8, 9), display=True)
    assert second.capability == (8, 0)
    assert not second.display


@pytest.mark.parametrize(
    "text",
    ["", "No devices were found\n", "NVIDIA-SMI has failed because it couldn't\n", "0, X, [N/A], 1, 8.9, Disabled"],
)
def test_other_output_of_nvidia_smi_is_no_gpu(text: str):
    assert read_nvidia_smi(text) == ()


def test_rocm_smi_is_read():
    card = {"VRAM Total Memory (B)": "17163091968", "VRAM Total Used Memory (B)": "1000", "Card Series": "W7800"}
    assert read_rocm_smi(json.dumps({"card0": card})) == (Gpu(0, "W7800", 17163091968, 17163090968),)
    assert read_rocm_smi("nonsense") == ()
    assert read_rocm_smi("[]") == ()


def test_on_a_machine_of_several_nodes_only_the_memory_of_the_first_cores_node_counts(tmp_path: Path):
    for node, core, free in ((0, 0, 1000), (1, 8, 2000)):
        (tmp_path / f"node{node}" / f"cpu{core}").mkdir(parents=True)
        (tmp_path / f"node{node}" / "meminfo").write_text(
            f"Node {node} MemTotal:       90000 kB\nNode {node} MemFree:        {free} kB\n"
            f"Node {node} Active(file):   300 kB\nNode {node} Inactive(file): 20 kB\nNode {node} SReclaimable:   1 kB\n"
            f"Node {node} HugePages_Total: 0\n"
        )
    assert node_available(8, tmp_path) == 2321 << 10
    assert node_available(0, tmp_path) == 1321 << 10
    assert node_available(3, tmp_path) is None
    assert node_available(0, tmp_path / "none") is None


def test_this_machine_has_cores_and_memory():
    found = detect()
    assert found.cores
    assert 0 < found.ram_available <= found.ram_total


COUNTING = """
import sys
from vllama.fit.gpu import usable_cores

def refuse_drivers(event, arguments):
    if event in {"ctypes.dlopen", "subprocess.Popen"} or (event == "import" and arguments[0] == "pynvml"):
        sys.exit(f"it used {event}")

sys.addaudithook(refuse_drivers)
print(usable_cores())
"""


def test_the_cores_are_counted_without_asking_for_gpus():
    counted = subprocess.run([sys.executable, "-c", COUNTING], capture_output=True, text=True, check=True).stdout
    assert int(counted) == len(detect().cores) > 0


@pytest.mark.parametrize(
    ("text", "fast"),
    [
        ("processor\t: 0\nflags\t\t: fpu sse2 avx2 f16c\n", False),
        ("flags\t\t: fpu avx2 avx512f avx512dq avx512bw avx512vl\n", True),
        ("flags\t\t: fpu avx512f avx512cd\n", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", True),
        ("", True),
    ],
)
def test_sixteen_bits_are_fast_where_an_x86_has_avx512(text: str, fast: bool):
    assert has_fast_bf16(text) == fast


@pytest.mark.parametrize(
    ("siblings", "firsts"),
    [
        (("0,4", "1,5", "0,4", "1,5"), (0, 1)),
        (("0-1", "0-1", "2-3", "2-3"), (0, 2)),
        (("0", "1", "2", "3"), (0, 1, 2, 3)),
        ((), (0, 1, 2, 3)),
    ],
)
def test_one_hardware_thread_of_each_core_computes(tmp_path: Path, siblings: tuple[str, ...], firsts: tuple[int, ...]):
    for number, text in enumerate(siblings):
        topology = tmp_path / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(text + "\n")
    assert first_threads((0, 1, 2, 3), tmp_path) == firsts


def test_all_cores_compute_where_nobody_says_which_belong_together():
    machine = Hardware("cpu", (0, 1, 2, 3), 1 << 30, 1 << 30)
    assert machine.computing == (0, 1, 2, 3)
    assert replace(machine, first_threads=(0, 2)).computing == (0, 2)
