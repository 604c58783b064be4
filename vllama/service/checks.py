"""What ``vllama doctor`` and ``/vllama/health`` say. Pure: ``service.examination`` looks, this module judges.

A ``bad`` finding keeps models from being served and has the command that fixes it; a ``warning`` does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from vllama.engine.compilation import ROOM
from vllama.install.versions import PINNED, PYTHONS, TESTED, is_tested
from vllama.service.facts import Folder, MachineFacts
from vllama.sizes import human_bytes

CheckState = Literal["good", "warning", "bad"]

_OLDEST_PYTHON: Final = (3, 11)
_GIB: Final = 1 << 30
_ENGINE_SPACE: Final = {"cpu": 8 * _GIB, "cuda": 15 * _GIB}
"""Room for a download and its unpacked form side by side."""
_MODEL_SPACE: Final = 20 * _GIB
"""An 8B model in bf16 and a bit."""
_LITTLE_SPACE: Final = _GIB
_ENGINE_MEMORY: Final = 3 * _GIB
"""What vLLM's processes take on a CPU with the smallest model (measured: 2 to 3 GB)."""


_BUSY: Final = 2.0
"""Load for each core: an engine that answers makes one."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    name: str
    state: CheckState
    text: str
    fix: str = ""
    """The command that fixes it, or a sentence that says how."""


def examine(facts: MachineFacts) -> list[Finding]:
    """All findings, in the order in which a person would fix them."""
    checks = [check for check in _CHECKS if not facts.hidden_service or check not in _OF_THE_SERVICE]
    return [finding for check in checks for finding in check(facts)]


def _python(facts: MachineFacts) -> Iterator[Finding]:
    version = ".".join(map(str, facts.python))
    if facts.python[:2] < _OLDEST_PYTHON:
        yield Finding("python", "bad", f"{version}, vLLama needs 3.11", _install(facts, dnf="python3", apt="python3"))
    else:
        yield Finding("python", "good", version)


def _config(facts: MachineFacts) -> Iterator[Finding]:
    for problem in facts.config_problems:
        yield Finding("config", "bad", problem, "Correct it, then: vllama config check")
    if not facts.config_problems:
        yield Finding("config", "good", facts.config_path or "no file, the defaults apply")


def _service(facts: MachineFacts) -> Iterator[Finding]:
    if facts.hidden_service:
        text = f"it runs as another user, and {facts.user} can't see its engine, directories and models"
        yield Finding("service", "warning", text, "To check these too: sudo vllama doctor")


def _engine(facts: MachineFacts) -> Iterator[Finding]:
    engine = facts.engine
    if engine.problem:
        yield Finding("engine", "bad", engine.problem, engine.hint or facts.install_command)
        if not facts.engine_pythons:
            names = ", ".join(f"3.{minor}" for _, minor in PYTHONS)
            newest = f"python3.{PYTHONS[0][1]}"
            yield Finding(
                "engine", "bad", f"no Python for it on PATH ({names})", _install(facts, dnf=newest, apt=newest)
            )
        return
    text = f"vLLM {engine.version} ({engine.backend}) in {engine.python}"
    if is_tested(engine.version):
        yield Finding("engine", "good", text)
    else:
        low, high = (".".join(map(str, version)) for version in TESTED)
        what = f"{text}: tested with {low} up to, but not including, {high}"
        yield Finding("engine", "warning", what, f"To get {PINNED}: {facts.install_command}")


def _gpu(facts: MachineFacts) -> Iterator[Finding]:
    hardware, backend = facts.hardware, facts.engine.backend
    for gpu in hardware.gpus:
        text = f"{gpu.name}, {human_bytes(gpu.free)} of {human_bytes(gpu.total)} free"
        if gpu.free < gpu.total // 2:
            yield Finding("gpu", "warning", f"{text}: other programs use it", "See which ones: nvidia-smi")
        else:
            yield Finding("gpu", "good", text)
    if hardware.gpus and backend == "cpu":
        fix = f"{facts.install_command} --backend cuda" if hardware.kind == "cuda" else ""
        yield Finding("gpu", "warning", "the installed engine is the CPU build and leaves the GPU unused", fix)
    elif not hardware.gpus and backend == "cuda":
        yield Finding(
            "gpu", "bad", "the installed engine is the CUDA build, but no GPU answers", "nvidia-smi shows why"
        )
    elif not hardware.gpus and facts.nvidia_card:
        fix = "Install NVIDIA's driver (on Fedora: akmod-nvidia from RPM Fusion), then restart"
        yield Finding("gpu", "warning", "there is an NVIDIA card, but its driver is not loaded", fix)
    elif not hardware.gpus:
        yield Finding("gpu", "good", f"none: models run on {len(hardware.cores)} CPU cores")


def _load(facts: MachineFacts) -> Iterator[Finding]:
    if facts.engine.backend != "cuda" and (text := busy(facts.load, len(facts.hardware.cores))):
        fix = "See what runs: top. cpu_threads of a profile leaves cores to other programs"
        yield Finding("load", "warning", text, fix)


def busy(load: float, cores: int) -> str:
    """What a machine with much else to do means for an engine on its CPU; empty if it has not."""
    if load < _BUSY * max(1, cores):
        return ""
    return f"load {load:.1f} on {cores} cores: answers take several times as long while other programs compute"


def _memory(facts: MachineFacts) -> Iterator[Finding]:
    hardware = facts.hardware
    text = f"{human_bytes(hardware.ram_available)} of {human_bytes(hardware.ram_total)} free"
    if hardware.ram_total < _ENGINE_MEMORY:
        yield Finding("memory", "bad", f"{text}: vLLM alone needs about 3 GB", "Give the machine more memory")
    elif hardware.ram_available < _ENGINE_MEMORY:
        yield Finding("memory", "warning", f"{text}: vLLM alone needs about 3 GB", "See its users: ps aux --sort -rss")
    else:
        yield Finding("memory", "good", text)


def _compiler(facts: MachineFacts) -> Iterator[Finding]:
    backend = facts.engine.backend or facts.hardware.kind
    if backend == "cpu" and not facts.libnuma:
        text = "no libnuma: vLLM's CPU build does not start without it"
        yield Finding("libnuma", "bad", text, _install(facts, dnf="numactl-libs", apt="libnuma1"))
    compiler = facts.cxx_compiler if backend == "cpu" else facts.c_compiler
    if compiler:
        yield Finding("compiler", "good", f"{compiler}; compiled models in the cache: {facts.compiled}")
    elif backend == "cpu":
        text = "no C++ compiler (g++): models can't be compiled, and answers are slower"
        yield Finding("compiler", "warning", text, _install(facts, dnf="gcc-c++", apt="g++"))
    else:
        text = "no C compiler (gcc or clang): vLLM compiles its GPU kernels with it"
        yield Finding("compiler", "warning", text, _install(facts, dnf="gcc", apt="gcc"))


def _places(facts: MachineFacts) -> Iterator[Finding]:
    for place in facts.places:
        text = f"{place.path}: {human_bytes(place.free)} free"
        name = f"{place.purpose} directory"
        if not place.writable:
            yield Finding(name, "bad", f"{place.path} can't be written by {facts.user}", _writable(place, facts.user))
        elif place.strange:
            text = f"{place.path / place.strange} does not belong to {place.owner}, who owns the directory"
            yield Finding(name, "bad", text, f"sudo chown -R {place.owner}: {place.path}")
        elif place.purpose == "models" and place.free < _MODEL_SPACE:
            state: CheckState = "bad" if place.free < _LITTLE_SPACE else "warning"
            yield Finding(
                name, state, f"{text}: an 8B model needs 16 GB", "Free some space, or set paths.state elsewhere"
            )
        elif place.purpose == "cache" and place.free < ROOM:
            text = f"{text}: too little to keep compiled code, so each start compiles again"
            yield Finding(name, "warning", text, "Free some space, or set paths.cache elsewhere")
        elif place.purpose == "engine" and facts.engine.problem and place.free < _engine_space(facts):
            need = human_bytes(_engine_space(facts))
            yield Finding(
                name, "bad", f"{text}: the engine needs {need}", "Free some space, or set engine.prefix elsewhere"
            )
        else:
            yield Finding(name, "good", text)


def _port(facts: MachineFacts) -> Iterator[Finding]:
    port = facts.port
    if port.occupant == "vllama":
        yield Finding("port", "good", f"{port.where}: vLLama is running")
    elif port.problem:
        yield Finding("port", "bad", port.problem, port.hint)
    else:
        yield Finding("port", "good", f"{port.where} is free")


def _models(facts: MachineFacts) -> Iterator[Finding]:
    for model in facts.models:
        if model.problem:
            yield Finding("model", "bad", f"{model.name}: {model.problem}", model.hint)
        else:
            yield Finding("model", "good", f"{model.name}, {human_bytes(model.size)}")


def _code(facts: MachineFacts) -> Iterator[Finding]:
    for start in facts.starts:
        if not start.fault:
            continue
        text = f"{start.model} compiled again at its last start: {start.fault}"
        todo = "Load it again: the next start should find what this one kept"
        if start.outcome == "unkept":
            todo = "Free some space, or set paths.cache elsewhere"
        yield Finding("compiled code", "warning", text, todo)


def _engine_space(facts: MachineFacts) -> int:
    return _ENGINE_SPACE["cuda" if facts.hardware.kind == "cuda" else "cpu"]


def _install(facts: MachineFacts, *, dnf: str, apt: str) -> str:
    """How to install a package here: its name on Fedora, and on Debian."""
    match facts.packages:
        case "dnf":
            return f"sudo dnf install {dnf}"
        case "apt":
            return f"sudo apt install {apt}"
        case "":
            return f"Install it: {dnf} on Fedora, {apt} on Debian"


def _writable(place: Folder, user: str) -> str:
    return f"sudo install -d -o {user} {place.path}"


def _access(facts: MachineFacts) -> Iterator[Finding]:
    yield from (Finding("access", "warning", one.text, one.hint) for one in facts.exposures)


_CHECKS: Final[tuple[Callable[[MachineFacts], Iterator[Finding]], ...]] = (
    _python,
    _config,
    _service,
    _engine,
    _gpu,
    _load,
    _memory,
    _compiler,
    _places,
    _port,
    _access,
    _models,
    _code,
)
_OF_THE_SERVICE: Final = (_engine, _places, _models, _code)
