from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes import nvml as fake
from tests.unit.observe.seen import Engines, Seen, named
from vllama.fit.hardware import Gpu
from vllama.observe.machine import Looker, Machine
from vllama.observe.machine_watch import MachineWatch
from vllama.observe.metrics import Metrics
from vllama.observe.nvml import Nvml

GIB = 1 << 30
HOLDING = """
import os, sys
pad = bytearray(64 << 20)
for at in range(0, len(pad), 4096): pad[at] = 1
while sum(os.times()[:2]) < 0.2: pass
print("ready", flush=True)
sys.stdin.read()
"""


@contextmanager
def engine() -> Iterator[int]:
    """A process of its own session that holds 64 MiB and has used 0.2 s of CPU time."""
    command = [sys.executable, "-Sc", HOLDING]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
    finally:
        process.communicate()


def no_gpus() -> tuple[Gpu, ...]:
    return ()


def test_a_card_is_seen_with_all_its_sensors():
    (gpu,) = Nvml(fake.Nvml(fake.Card(name=b"H200", processes={7: GIB}))).look() or ()
    assert (gpu.index, gpu.name, gpu.total, gpu.used, gpu.free) == (0, "H200", 24 * GIB, 10 * GIB, 14 * GIB)
    assert (gpu.utilization, gpu.power, gpu.temperature, gpu.joules) == (0.4, 41.0, 35, 1000.0)
    assert gpu.held_by(frozenset({7, 8})) == GIB


def test_a_sensor_that_a_card_lacks_is_absent_and_never_zero():
    bare = fake.Card(busy=None, milliwatts=None, celsius=None, millijoules=None, processes=None)
    (gpu,) = Nvml(fake.Nvml(bare)).look() or ()
    assert gpu.utilization is gpu.power is gpu.temperature is gpu.joules is gpu.processes is None
    assert gpu.held_by(frozenset()) is None
    assert Machine(1, 1, 1, (gpu,)).other(gpu) is None


def test_a_process_whose_memory_the_driver_can_not_count_makes_the_share_of_others_unknown():
    (gpu,) = Nvml(fake.Nvml(fake.Card(processes={7: None}))).look() or ()
    assert gpu.processes is None


def test_a_driver_that_was_reset_is_opened_again():
    library = fake.Nvml(fake.Card())
    nvml = Nvml(library)
    assert nvml.look()
    library.broken = True
    assert nvml.look() is None
    library.broken = False
    assert nvml.look()
    nvml.close()
    assert library.users == 0


def test_memory_and_cpu_time_of_an_engine_are_those_of_its_processes():
    with engine() as pid:
        looker = Looker(Nvml(fake.Nvml()), no_gpus)
        (use,) = looker.look([Seen(pid), Seen(None, model=named("loading"))]).engines
    assert (use.key, use.model) == ("key-tiny", "tiny")
    assert 64 << 20 <= use.resident < 200 << 20
    assert 0.2 <= use.cpu_seconds < 20


def test_other_programs_are_what_is_left_of_a_gpu_without_our_engines():
    with engine() as pid:
        card = fake.Card(used=10 * GIB, processes={pid: 7 * GIB, 1: GIB})
        machine = Looker(Nvml(fake.Nvml(card)), no_gpus).look([Seen(pid, gpus=(0,))])
    assert machine.engines[0].gpus == {0: 7 * GIB}
    assert machine.other(machine.gpus[0]) == 3 * GIB
    assert machine.held == machine.engines[0].resident > 0


def test_without_nvml_only_the_memory_of_gpus_is_known_and_looked_up_seldom():
    looks = []

    def detected() -> tuple[Gpu, ...]:
        looks.append(1)
        return (Gpu(0, "AMD GPU", 16 * GIB, 12 * GIB),)

    broken = fake.Nvml()
    broken.broken = True
    looker = Looker(Nvml(broken), detected)
    for _ in range(3):
        (gpu,) = looker.look([]).gpus
    assert (gpu.total, gpu.used, gpu.power) == (16 * GIB, 4 * GIB, None)
    assert len(looks) == 1


def rendered(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render())
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


async def test_the_metrics_have_the_machine_with_bounded_labels():
    with engine() as pid:
        card = fake.Card(celsius=None, processes={pid: 7 * GIB})
        watch = MachineWatch(Engines(Seen(pid)), Looker(Nvml(fake.Nvml(card)), no_gpus).look)
        metrics = Metrics(Engines())  # type: ignore[arg-type]
        metrics.add(watch)
        assert not any("gpu" in name for name, _ in rendered(metrics))
        await watch.look()
    found = rendered(metrics)
    gpu, model = ("gpu", "0"), ("model", "tiny")
    assert found["vllama_gpu_power_watts", (gpu,)] == 41
    assert found["vllama_gpu_utilization_ratio", (gpu,)] == 0.4
    assert found["vllama_gpu_memory_used_bytes", (gpu,)] == 10 * GIB
    assert found["vllama_gpu_memory_other_bytes", (gpu,)] == 3 * GIB
    assert found["vllama_gpu_info", (gpu, ("name", "NVIDIA Test 24GB"))] == 1
    assert found["vllama_engine_gpu_memory_bytes", (gpu, model)] == 7 * GIB
    assert found["vllama_engine_cpu_seconds_total", (model,)] >= 0.2
    assert found["vllama_engine_resident_bytes", (model,)] > 64 << 20
    assert not any("celsius" in name for name, _ in found)


async def test_a_look_that_fails_is_logged_once_and_shows_nothing(caplog: pytest.LogCaptureFixture):
    def fails(_: object) -> Machine:
        raise OSError("no such sensor")

    watch = MachineWatch(Engines(), fails)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            await watch.look()
    assert watch.latest is None
    assert [record.getMessage() for record in caplog.records] == ["what the machine uses can't be seen: no such sensor"]


def test_this_machine_can_be_looked_at():
    machine = Looker(Nvml()).look([])
    assert machine.cores >= 1
    assert 0 < machine.free <= machine.total
