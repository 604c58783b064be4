"""A spare interpreter becomes the engine that it fits, and no other; nothing is left of one that is not needed."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.processes import alive, until_gone
from vllama.engine import plugins
from vllama.engine.process import EngineProcess
from vllama.engine.spare import Base, Spare, base_of
from vllama.engine.spec import EngineSpec

ENTRY = """
import json, os, sys, tempfile
if __name__ == "__main__":
    said = [sys.argv[1:], os.environ["TMPDIR"], tempfile.gettempdir(), os.getcwd(), sys.stdin.read()]
    print(json.dumps(said), flush=True)
    sys.exit(3)
"""
OWNER = """
import asyncio, sys
from vllama.engine.spare import Base, Spare
async def main():
    spare = Spare(Base(sys.executable, "entry", {"PYTHONPATH": sys.argv[1]}, ()), print)
    print(spare.pid, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@pytest.fixture
def modules(tmp_path: Path) -> str:
    """A PYTHONPATH with our plugin and an entry."""
    (tmp_path / "entry.py").write_text(ENTRY)
    return f"{plugins.FOLDER}:{tmp_path}"


def spec(folder: Path, modules: str, **env: str) -> EngineSpec:
    run = folder / "run"
    run.mkdir(exist_ok=True)
    made = EngineSpec("mini", (sys.executable, "-m", "entry", "--model", "x"), {}, run / "e.sock", "mini", "generate")
    return replace(made, env={"PYTHONPATH": modules, "TMPDIR": str(made.scratch), **env})


def base(of: EngineSpec) -> Base:
    made = base_of(of)
    assert made is not None
    return made


async def test_it_becomes_the_engine_with_its_arguments_environment_and_directory(tmp_path, modules):
    wanted = spec(tmp_path, modules)
    ended: asyncio.Queue[int] = asyncio.Queue()
    spare = Spare(base(wanted), ended.put_nowait)
    process = EngineProcess(wanted, lambda _: None, lambda of: spare.become(of) or pytest.fail("it can't be used"))
    process.spawn()
    assert process.pid == spare.pid
    cause = await process.wait()
    assert "3" in cause.text
    said = next(json.loads(line) for line in process._lines if line.startswith("["))
    place = str(wanted.scratch)
    assert said == [["--model", "x"], place, place, place, ""]
    assert ended.empty()


def test_it_fits_engines_that_import_the_same(tmp_path, modules):
    one = spec(tmp_path, modules)
    other = replace(one, argv=(*one.argv[:3], "--model", "y"), env={**one.env, "TMPDIR": "/elsewhere"})
    assert base_of(one) == base_of(other)
    assert base_of(replace(one, env={**one.env, "OMP_NUM_THREADS": "1"})) != base_of(one)
    assert base_of(replace(one, argv=("/newer/bin/python", *one.argv[1:]))) != base_of(one)
    assert base_of(replace(one, size_vram=1)) is None
    assert base_of(replace(one, gpus=(0,))) is None


def test_packages_that_were_installed_since_make_it_unfit(tmp_path, modules):
    packages = tmp_path / "lib" / "python3.11" / "site-packages"
    packages.mkdir(parents=True)
    one = replace(spec(tmp_path, modules), argv=(str(tmp_path / "bin" / "python"), "-m", "entry"))
    before = base_of(one)
    assert before == base_of(one)
    os.utime(packages, (1, 1))
    assert before != base_of(one)


async def test_one_that_was_killed_says_so_and_can_not_be_used(tmp_path, modules):
    wanted = spec(tmp_path, modules)
    ended: asyncio.Queue[int] = asyncio.Queue()
    spare = Spare(base(wanted), ended.put_nowait)
    os.kill(spare.pid, 9)
    assert await asyncio.wait_for(ended.get(), 10) == -9
    assert spare.become(wanted) is None
    await spare.end()


async def test_one_that_is_ended_is_gone(tmp_path, modules):
    spare = Spare(base(spec(tmp_path, modules)), lambda _: None)
    await spare.end()
    assert not alive(spare.pid)


async def test_it_does_not_outlive_its_service(modules):
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))}
    owner = subprocess.Popen(  # noqa: ASYNC220 - it is started in an instant
        [sys.executable, "-c", OWNER, modules], env=env, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    assert alive(pid)
    owner.kill()
    owner.communicate()
    await until_gone([pid], 20)
