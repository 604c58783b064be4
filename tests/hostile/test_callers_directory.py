"""Nothing that lies in the directory in which a person calls us is run, whatever it is called."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.fakes import interpreter
from tests.fakes.model_dir import scripted

ROOT = Path(__file__).parents[2]
MODULES = ("pip", "venv", "ensurepip", "compileall", "huggingface_hub", "yaml", "orjson", "vllm", "torch", "json",
           "multiprocessing", "sitecustomize", "usercustomize", "psutil", "runpy", "encodings")  # fmt: skip
PROGRAMS = ("python3", *(f"python3.{minor}" for minor in range(11, 15)), "uv", "pip", "nvidia-smi", "rocm-smi",
            "journalctl", "systemctl", "gcc", "c++", "cc")  # fmt: skip


@pytest.fixture
def traps(tmp_path: Path) -> Path:
    """A directory in which everything writes down that it ran."""
    folder = tmp_path / "cloned"
    folder.mkdir()
    sprung = folder / "sprung"
    for name in MODULES:
        code = f"import os\nos.write(os.open({str(sprung)!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND), b'{name} ')\n"
        (folder / name).mkdir()
        for file in ("__init__.py", "__main__.py"):
            (folder / name / file).write_text(code)
    for name in PROGRAMS:
        path = folder / name if name not in MODULES else folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\nprintf '{name} ' >> {sprung}\n")
        path.chmod(0o755)
    for name in ("uv.toml", "pyproject.toml", "pip.conf", ".python-version", ".env"):
        (folder / name).write_text("this is = = no file of its kind\n")
    return folder


def sprung(traps: Path) -> str:
    try:
        return (traps / "sprung").read_text()
    except FileNotFoundError:
        return ""


def environment(traps: Path) -> dict[str, str]:
    """Of a careless person: the current directory is on PATH."""
    path = f".:{os.environ['PATH']}"
    offline = {"PIP_NO_INDEX": "1", "HF_ENDPOINT": "http://127.0.0.1:1", "PIP_CONFIG_FILE": os.devnull}
    places = {f"VLLAMA_{name}_DIR": str(traps.parent / name) for name in ("STATE", "CACHE", "RUNTIME")}
    places["VLLAMA_ENGINE_PREFIX"] = str(traps.parent / "none")
    return {"HOME": str(traps.parent), "PATH": path, "VLLAMA_CONFIG": os.devnull, **offline, **places}


def test_the_traps_work(traps: Path) -> None:
    for command in ([sys.executable, "-m", "pip", "config", "list"], ["nvidia-smi"]):
        subprocess.run(command, cwd=traps, env=environment(traps), capture_output=True, check=False)
    assert "pip" in sprung(traps)
    assert "nvidia-smi" in sprung(traps)


@pytest.mark.parametrize(
    "words",
    [
        ("engine", "install", "--backend", "cpu", "--prefix", "../engine"),
        ("engine", "install", "--backend", "cpu", "--prefix", "../engine", "--python", sys.executable),
        ("engine", "status"),
        ("doctor",),
        ("logs",),
        ("plan", "tinychat"),
        ("config", "check"),
        ("tune", "tinychat"),
        ("catalog", "list"),
        ("version",),
        ("keys", "list"),
    ],
    ids=" ".join,
)
def test_a_command_runs_nothing_of_the_callers_directory(traps: Path, words: tuple[str, ...]) -> None:
    command = [str(Path(sys.executable).with_name("vllama")), *words]
    done = subprocess.run(
        command, cwd=traps, env=environment(traps), capture_output=True, text=True, timeout=120, check=False
    )
    assert "Traceback" not in done.stderr
    assert sprung(traps) == ""


CHILDREN = {
    "pip": """
        run.ask([sys.executable, "-I", "-m", "pip", "config", "list"])
        """,
    "uv": """
        from vllama.install.tool import Uv
        uv = Uv(str(Path(sys.executable).with_name("uv")))
        run.stream(uv.make_venv(Interpreter(Path(sys.executable), (3, 11)), folder / "new").argv, print, lambda: None)
        assert (folder / "new" / "bin" / "python").exists(), "uv.toml of the directory was read"
        here = Interpreter(Path(sys.executable), (3, 11))
        run.ask(uv.offers("nothing==1", here, None, hashed=False).argv)
        run.stream(uv.from_locks(folder / "new" / "bin" / "python", [], None).argv, print, lambda: None)
        run.stream(uv.unhashed(folder / "new" / "bin" / "python", "nothing==1", None).argv, print, lambda: None)
        """,
    "hub": """
        import asyncio
        from vllama.errors import VllamaError
        from vllama.install.capabilities import shipped_registry
        from vllama.download.plan import facts_ahead
        from vllama.download.transfer import Downloads
        from vllama.models.sources import Source
        async def ask():
            source = Source("hub", "acme/mini")
            environ = dict(os.environ)
            asked = facts_ahead(source, environ, shipped_registry())
            for one in (asked, anext(Downloads(folder, environ).follow(source))):
                try:
                    await one
                except VllamaError as error:
                    assert "can't be reached" in error.message, error.message
        asyncio.run(ask())
        """,
    "machine": "from vllama.fit.gpu import detect; detect()",
}  # fmt: skip


@pytest.mark.parametrize("name", CHILDREN)
def test_no_child_runs_anything_of_the_callers_directory(traps: Path, name: str) -> None:
    begin = """
        import os, sys
        sys.path.remove("")
        from pathlib import Path
        from vllama.install.interpreter import Interpreter
        from vllama.install.runner import Subprocesses
        run, folder = Subprocesses(), Path.cwd().parent
        """
    code = textwrap.dedent(begin) + textwrap.dedent(CHILDREN[name])
    # -P for this process itself; its children do not inherit that
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command, cwd=traps, env=environment(traps), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert sprung(traps) == ""


def test_a_directory_that_is_served_runs_no_code(traps: Path, tmp_path: Path) -> None:
    """``git clone`` of a model, ``cd`` into it, ``vllama serve .``."""
    for file in scripted(tmp_path, "model").iterdir():
        (traps / file.name).write_bytes(file.read_bytes())
    (tmp_path / "fake").mkdir()
    answers = interpreter.write(tmp_path / "fake")
    python = tmp_path / "python"
    # It answers as one with vLLM in it, and starts a real interpreter for the engine.
    python.write_text(f'#!/bin/sh\n[ "$1" = -I ] && exec {answers} "$@"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    config = tmp_path / "vllama.yaml"
    config.write_text(f"server: {{port: 0}}\nengine: {{python: {python}, breaker_crashes: 1}}\n")
    environ = {**environment(traps), "VLLAMA_CONFIG": str(config)}
    command = [str(Path(sys.executable).with_name("vllama")), "serve", "."]
    with subprocess.Popen(
        command, cwd=traps, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as service:
        assert service.stdout is not None
        reported = next((line for line in service.stdout if "could not be loaded" in line), "")
        service.terminate()
    assert (
        "the engine's installation is broken" in reported
    )  # this Python has no vLLM, and took none from the directory
    assert sprung(traps) == ""
