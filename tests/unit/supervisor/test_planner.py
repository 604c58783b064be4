"""The planner with an engine that is installed only on paper, on machines that are not there."""

from __future__ import annotations

import asyncio
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fakes.machine import PaperMachine
from tests.unit.engine.test_command import Installed
from tests.unit.fit.machines import GIB, cpu, facts, gpu, model
from tests.unit.supervisor.scripted import ScriptedSpawner, Seams
from vllama.config.load import Loaded, load_config
from vllama.engine.kept_code import starts
from vllama.engine.progress import Progress
from vllama.engine.spec import EngineSpec
from vllama.errors import LoadFailed, NoRoomYet
from vllama.fit.hardware import Hardware
from vllama.fit.measurements import Measurements
from vllama.fit.places import find_place
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.occupancy import occupied, own_memory
from vllama.supervisor.planner import LocalPlanner, needs_new_engine
from vllama.supervisor.policy import Policy
from vllama.supervisor.port import Wish
from vllama.supervisor.probes import Patience
from vllama.supervisor.states import EngineState, Phase
from vllama.supervisor.tenants import Tenant

LLAMA = model(facts(details={"attention.head_count": 32}, tool_parser=None))

REPORT = (
    "Model loading took 15.50 GiB memory and 3.2 seconds",
    "Available KV cache memory: 31.00 GiB",
    "GPU KV cache size: 240,000 tokens, Maximum concurrency for 8,192 tokens per request: 29.30x",
)
"""What vLLM logs of its memory."""
NOBODY = 2**22 + 1
"""No process has that number."""


class OnPaper(Installed):
    backend = "cuda"
    torch = "2.13.0"
    interpreter = "3.11.7"


def loaded(folder: Path) -> Loaded:
    (folder / "c.yaml").write_text(f"paths: {{state: {folder}, cache: {folder}, runtime: {folder}}}")
    return load_config(folder / "c.yaml", environ={})


def make(folder: Path, machine: Hardware, **environ: str) -> LocalPlanner:
    return LocalPlanner(loaded(folder), environ, PaperMachine(machine, OnPaper()))


def tenant(spec: EngineSpec, phase: Phase) -> Tenant:
    return EngineState(LLAMA, phase, spec=spec, pid=NOBODY).tenant


def value_of(spec: EngineSpec, flag: str) -> str:
    return spec.argv[spec.argv.index(flag) + 1]


async def test_the_sum_is_among_what_the_log_says(tmp_path):
    spec = await make(tmp_path, gpu(24)).spec(LLAMA, (), 0)
    assert spec.notes[-1] == "21.6 of 21.6 GiB: about 5 chats at once with 8k context"
    assert spec.gpus == (0,)
    assert 0 < spec.kv_cache < spec.size == spec.size_vram


async def test_of_several_gpus_it_sees_only_its_own(tmp_path):
    machine = gpu(24, count=3)
    first = replace(machine.gpus[0], free=GIB)
    machine = replace(machine, gpus=(first, *machine.gpus[1:]))
    spec = await make(tmp_path, machine).spec(LLAMA, (), 0)
    assert (spec.env["CUDA_VISIBLE_DEVICES"], spec.env["CUDA_DEVICE_ORDER"]) == ("1", "PCI_BUS_ID")
    spec = await make(tmp_path, machine, CUDA_VISIBLE_DEVICES="2").spec(LLAMA, (), 0)
    assert spec.env["CUDA_VISIBLE_DEVICES"] == "2"


async def test_what_idle_tenants_hold_is_missing_and_what_pinned_ones_hold_is_not_there(tmp_path):
    card = replace(gpu(24).gpus[0], free=9 * GIB)
    planner = make(tmp_path, replace(gpu(24), gpus=(card,)))
    held = Tenant("other", size=14 * GIB, size_vram=14 * GIB, gpus=(0,))
    with pytest.raises(NoRoomYet, match="next to the models that are loaded") as caught:
        await planner.spec(LLAMA, (held,), 0)
    assert 8 * GIB < caught.value.missing < 11 * GIB
    with pytest.raises(LoadFailed, match="model requires more GPU memory") as refused:
        await planner.spec(LLAMA, (replace(held, pinned=True),), 0)
    assert refused.value.error_code == "too_big"
    assert "what would fit" in refused.value.hint


async def test_each_attempt_asks_for_less(tmp_path):
    planner = make(tmp_path, gpu(24))
    sizes = [(await planner.spec(LLAMA, (), attempt)).size for attempt in range(4)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == 4


async def test_what_an_engine_reports_is_counted_with_next_time(tmp_path):
    planner = make(tmp_path, gpu(80))
    spec = await planner.spec(LLAMA, (), 0)
    progress = Progress()
    for line in REPORT:
        progress.feed(line)
    share = float(value_of(spec, "--gpu-memory-utilization"))
    await planner.learn(spec, progress)
    again = make(tmp_path, gpu(80))
    spec = await again.spec(LLAMA, (), 0)
    # all that it was given but the KV cache: weights and whatever else it took
    assert spec.size - spec.kv_cache == pytest.approx(share * 80 * GIB - 31 * GIB, rel=1e-4)


async def test_an_engine_that_loads_while_the_configuration_is_reloaded_is_learnt_from(tmp_path):
    seams = Seams()
    seams.deaf = True  # it does not answer yet
    spawner = ScriptedSpawner(seams)
    patience = Patience(stall=60.0, hang=60.0, interval=0.001, idle_interval=0.0)
    policy = Policy(drain=0.0)
    supervisor = Supervisor(make(tmp_path, gpu(80)), policy, patience, spawner=spawner)
    async with asyncio.timeout(20):
        loading = asyncio.ensure_future(lease(supervisor))
        while not spawner.made:
            await asyncio.sleep(0.001)
        supervisor.reconfigure(make(tmp_path, gpu(80)), policy, patience)
        for line in REPORT:
            spawner.made[0].progress.feed(line)
        seams.deaf = False
        await loading
        await supervisor.close()
    assert (tmp_path / "measured.json").exists()


async def lease(supervisor: Supervisor) -> None:
    async with supervisor.lease(Wish(LLAMA)):
        pass


async def test_what_the_log_rounds_too_roughly_is_not_believed(tmp_path):
    planner = make(tmp_path, gpu(80))
    spec = await planner.spec(model(facts(3_000_000, attention=LLAMA.facts.attention)), (), 0)
    await planner.learn(spec, Progress(kv_tokens=0, weights=5 << 20))
    assert Measurements(tmp_path).find("mini") is None
    assert not (tmp_path / "measured.json").exists()


def test_a_tenants_cache_in_ram_is_promised_until_it_is_filled():
    held = Tenant("other", size=3 * GIB, lazy=GIB)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as small:  # until its input ends
        held = replace(held, pid=small.pid)
        seen = occupied(cpu(), [held])
        assert seen.ram_promised == GIB
        assert GIB < seen.ram_kept < 2 * GIB
        assert occupied(cpu(), [replace(held, pinned=True)]).ram_kept == 0
    assert occupied(cpu(), [replace(held, pid=NOBODY)]).ram_promised == GIB


def test_one_that_still_loads_in_ram_counts_with_all_that_it_was_planned_with():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as small:  # until its input ends
        held = Tenant("other", size=3 * GIB, pid=small.pid, lazy=GIB, loading=True)
        seen = occupied(cpu(), [held], 8 * GIB)
        assert 2.9 * GIB < seen.ram_promised < 3 * GIB, "what it has taken is gone from what is available"
        assert seen.ram_kept == 3 * GIB
        assert find_place(seen, share=1, cap=1.0).free == 5 * GIB, "engine.max_ram counts it once"
        alone = occupied(cpu(), [replace(held, pinned=True)])
        assert alone.ram_kept == 0
        assert alone.ram_promised > 2.9 * GIB


def test_one_that_sleeps_in_swap_space_takes_nothing_more_and_counts_with_what_it_keeps():
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as small:  # until its input ends
        held = Tenant("x", size=3 * GIB, pid=small.pid, lazy=GIB, asleep=GIB // 4, sleeping=True)
        seen = occupied(cpu(), [held], 8 * GIB)
    assert seen.ram_promised == 0
    assert seen.ram_left == 8 * GIB - GIB // 4


async def test_a_sleeper_in_swap_space_needs_room_for_all_of_it(tmp_path):
    sleeper = Tenant("x", size=3 * GIB, asleep=GIB // 4)
    await make(tmp_path, cpu(4)).room_to_wake(sleeper, ())
    with pytest.raises(NoRoomYet, match="not enough memory next to") as raised:
        await make(tmp_path, cpu(2)).room_to_wake(sleeper, ())
    assert raised.value.missing == pytest.approx(GIB, rel=0.1)


def test_pages_of_files_are_no_memory_that_a_load_has_taken():
    rollup = "5581 [rollup]\nRss: 900 kB\nPss: 800 kB\nPss_Anon:  300 kB\nPss_File: 400 kB\nPss_Shmem: 100 kB\n"
    assert own_memory(rollup) == 400 << 10
    assert own_memory("") == own_memory("Pss: 800 kB\n") == 0


async def test_an_engine_that_starts_during_a_load_takes_another_gpu(tmp_path):
    planner = make(tmp_path, gpu(24, count=2))
    first = await planner.spec(LLAMA, (), 0)
    assert first.gpus == (0,)
    assert (await planner.spec(LLAMA, (tenant(first, "starting"),), 0)).gpus == (1,)


async def test_no_engine_starts_on_a_gpu_on_which_another_one_still_loads_even_where_there_is_room(tmp_path):
    planner = make(tmp_path, gpu(80))
    small = Tenant("other", size=4 * GIB, size_vram=4 * GIB, gpus=(0,))
    await planner.spec(LLAMA, (small,), 0)
    with pytest.raises(LoadFailed, match="another engine is starting on the same GPU"):
        await planner.spec(LLAMA, (replace(small, loading=True),), 0)


async def test_an_engine_that_would_fare_better_on_the_gpu_of_a_load_waits_for_it(tmp_path):
    empty, full = gpu(80, count=2).gpus
    machine = replace(gpu(80, count=2), gpus=(empty, replace(full, free=10 * GIB)))
    planner = make(tmp_path, machine)
    small = Tenant("other", size=4 * GIB, size_vram=4 * GIB, gpus=(0,))
    with pytest.raises(LoadFailed, match="same GPU"):
        await planner.spec(LLAMA, (replace(small, loading=True),), 0)


async def test_where_gpus_report_nothing_engines_start_one_by_one(tmp_path):
    planner = make(tmp_path, replace(gpu(24), gpus=()))
    first = await planner.spec(LLAMA, (), 0)
    await planner.spec(LLAMA, (tenant(first, "ready"),), 0)
    with pytest.raises(LoadFailed, match="same GPU"):
        await planner.spec(LLAMA, (tenant(first, "starting"),), 0)


def test_tenants_in_ram_share_what_the_configuration_leaves_them():
    held = Tenant("other", size=3 * GIB, pid=NOBODY)
    seen = occupied(cpu(32), [held, replace(held, pinned=True)], 8 * GIB)
    place = find_place(seen, share=1, cap=1.0)
    assert (place.free, place.reachable) == (2 * GIB, 5 * GIB)
    assert find_place(occupied(cpu(1), [], 8 * GIB), share=1, cap=1.0).free < GIB, "no more than there is"


def test_an_engine_is_renewed_when_another_vllm_was_installed_since(tmp_path):
    machine = PaperMachine(cpu(), python=Path("/e/0.33.0-cpu/bin/python"))
    same = loaded(tmp_path)
    assert needs_new_engine(same, same, LLAMA, "/e/0.32.0-cpu/bin/python", machine)
    assert not needs_new_engine(same, same, LLAMA, "/e/0.33.0-cpu/bin/python", machine)
    assert not needs_new_engine(same, same, LLAMA, "", machine), "it has not been planned yet"
    machine.python = None
    assert not needs_new_engine(same, same, LLAMA, "/e/0.32.0-cpu/bin/python", machine), "better than no engine"


async def test_a_sleeper_needs_all_but_what_it_kept_and_finds_what_others_gave_back(tmp_path):
    card = replace(gpu(24).gpus[0], free=9 * GIB)
    planner = make(tmp_path, replace(gpu(24), gpus=(card,)))
    held = Tenant("other", size=14 * GIB, size_vram=14 * GIB, gpus=(0,))
    await planner.room_to_wake(replace(held, size_vram=10 * GIB, asleep=GIB), ())
    with pytest.raises(NoRoomYet) as caught:
        await planner.room_to_wake(replace(held, asleep=2 * GIB), ())
    assert caught.value.missing == 3 * GIB
    assert occupied(gpu(24), [held, replace(held, asleep=GIB, sleeping=True)]).gpus[0].kept == 15 * GIB


class CpuBuild(OnPaper):
    backend = "cpu"


def on_cpu(folder: Path, machine: Hardware) -> LocalPlanner:
    return LocalPlanner(loaded(folder), {}, PaperMachine(machine, CpuBuild()))


async def test_on_a_cpu_the_first_engine_is_eager_and_knows_the_start_that_compiles(tmp_path):
    planner = on_cpu(tmp_path, cpu(64))
    spec = await planner.spec(LLAMA, (), 0)
    compiles = spec.compiles
    assert compiles is not None
    assert "--enforce-eager" in spec.argv
    assert "--enforce-eager" not in compiles.argv
    assert (compiles.background, spec.background) == (True, False)
    assert compiles.socket != spec.socket
    assert compiles.scratch != spec.scratch
    assert compiles.kv_cache < spec.kv_cache
    assert value_of(compiles, "--max-num-seqs") == value_of(spec, "--max-num-seqs")


async def test_once_its_code_is_in_the_cache_the_engine_is_compiled(tmp_path):
    planner = on_cpu(tmp_path, cpu(64))
    compiles = (await planner.spec(LLAMA, (), 0)).compiles
    assert compiles is not None
    artifact = tmp_path / "model"
    artifact.touch()
    await planner.learn(compiles, Progress(code=str(artifact)))
    spec = await on_cpu(tmp_path, cpu(64)).spec(LLAMA, (), 0)
    assert (spec.compiles, "--enforce-eager" in spec.argv) == (None, False)
    artifact.unlink()
    assert (await planner.spec(LLAMA, (), 0)).compiles is not None, "the cache was deleted"


async def test_on_a_gpu_a_load_waits_for_its_code(tmp_path):
    spec = await make(tmp_path, gpu(24)).spec(LLAMA, (), 0)
    assert (spec.compiles, "--enforce-eager" in spec.argv) == (None, False)


async def test_compiling_needs_its_memory_free_next_to_what_runs(tmp_path):
    compiles = (await on_cpu(tmp_path, cpu(64)).spec(LLAMA, (), 0)).compiles
    assert compiles is not None
    await on_cpu(tmp_path, cpu(64)).room_to_compile(compiles, ())
    with pytest.raises(NoRoomYet):
        await on_cpu(tmp_path, replace(cpu(64), ram_available=compiles.size)).room_to_compile(compiles, ())


async def test_compiled_code_lies_in_a_folder_of_its_own_for_each_engine_and_processor(tmp_path):
    one, other = [await make(tmp_path, replace(cpu(64), cpu=name)).spec(LLAMA, (), 0) for name in ("EPYC", "Xeon")]
    assert one.keeps is not None
    assert one.keeps.parent == tmp_path / "compiled"
    assert one.env["VLLM_CACHE_ROOT"] == str(one.keeps / "vllm")
    assert one.keeps != other.keeps


async def test_an_engine_that_cannot_keep_its_code_starts_without(tmp_path):
    (tmp_path / "compiled").write_text("in the way")
    spec = await make(tmp_path, gpu(24)).spec(LLAMA, (), 0)
    assert spec.keeps is None
    for name in ("VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "HOME"):
        assert spec.scratch in Path(spec.env[name]).parents  # it goes with the engine
    assert any("nothing that it compiles can be kept: not a directory" in note for note in spec.notes)


async def test_an_engine_that_cannot_keep_its_code_is_eager_on_a_cpu_and_nothing_is_compiled(tmp_path):
    (tmp_path / "compiled").write_text("in the way")
    spec = await on_cpu(tmp_path, cpu(64)).spec(LLAMA, (), 0)
    assert (spec.compiles, "--enforce-eager" in spec.argv) == (None, True)


async def test_code_that_was_not_kept_or_not_usable_is_logged_and_code_that_killed_is_removed(tmp_path, caplog):
    planner = make(tmp_path, gpu(24))
    spec = await planner.spec(LLAMA, (), 0)
    assert spec.keeps is not None
    kept = spec.keeps / "vllm" / "torch_compile_cache" / "torch_aot_compile" / "7a64" / "rank_0_0" / "model"
    kept.parent.mkdir(parents=True)
    kept.write_text("code")
    progress = Progress()
    progress.feed(f"Compiling model again due to a load failure from {kept}, reason: it is cut off")
    progress.feed("Warming up done.")
    await planner.learn(spec, progress)
    assert "what was kept can't be used (it is cut off): it was compiled again" in caplog.text
    (start,) = starts(tmp_path)
    assert (start.model, start.outcome) == (spec.served_name, "again")
    progress.feed(f"loading compiled code from {kept}")
    await planner.distrust(spec, progress)
    assert not kept.exists()
    assert "the engine died loading compiled code; that code is removed" in caplog.text
