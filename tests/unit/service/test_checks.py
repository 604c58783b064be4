"""What the doctor says about what was found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from vllama.config.exposure import Exposure
from vllama.engine.compilation import CodeStart
from vllama.fit.hardware import Gpu, Hardware
from vllama.install.versions import PINNED
from vllama.service.checks import Finding, examine
from vllama.service.facts import EngineFact, Folder, MachineFacts, ModelFact, PortFact

GIB = 1 << 30
HEALTHY = MachineFacts(
    python=(3, 12, 1),
    user="vllama",
    config_path="/etc/vllama.yaml",
    config_problems=(),
    engine=EngineFact(PINNED, "cpu", "/var/lib/vllama-engine/current/bin/python"),
    engine_pythons=("/usr/bin/python3.12",),
    install_command="sudo vllama engine install",
    hardware=Hardware("cpu", (0, 1), 24 * GIB, 16 * GIB),
    nvidia_card=False,
    c_compiler="/usr/bin/gcc",
    cxx_compiler="/usr/bin/g++",
    libnuma=True,
    compiled=2,
    places=(Folder("models", Path("/var/lib/vllama"), 100 * GIB, writable=True),),
    port=PortFact("127.0.0.1:11434", "nobody"),
    models=(ModelFact("tinychat", 3_720_000),),
    hidden_service=False,
    packages="dnf",
)
RTX = Gpu(0, "NVIDIA GeForce RTX 4090", 24 * GIB, 23 * GIB)


def findings(**changes: Any) -> list[Finding]:
    """What is not good after ``changes`` to a healthy machine."""
    return [finding for finding in examine(replace(HEALTHY, **changes)) if finding.state != "good"]


def test_a_healthy_machine_has_only_ticks() -> None:
    assert findings() == []
    assert findings(load=3.9) == []  # an engine that answers
    assert findings(starts=(CodeStart("m", "loaded"), CodeStart("n", "compiled"))) == []
    assert {finding.name for finding in examine(HEALTHY)} >= {"python", "config", "engine", "gpu", "memory", "port"}


@pytest.mark.parametrize(
    ("changes", "name", "state", "text", "fix"),
    [
        ({"load": 5.04}, "load", "warning", "load 5.0 on 2 cores: answers take several times as long", "top"),
        ({"python": (3, 10, 4)}, "python", "bad", "needs 3.11", "install"),
        ({"config_problems": ("/etc/vllama.yaml:3: port: x",)}, "config", "bad", "vllama.yaml:3", "config check"),
        (
            {
                "engine": EngineFact(
                    problem="no vLLM engine is installed", hint="Install it with: vllama engine install"
                )
            },
            "engine",
            "bad",
            "no vLLM engine",
            "vllama engine install",
        ),
        (
            {"engine": replace(HEALTHY.engine, version="0.20.1")},
            "engine",
            "warning",
            "tested with",
            "sudo vllama engine install",
        ),
        (
            {"hardware": Hardware("cuda", (0,), 24 * GIB, 16 * GIB, (RTX,))},
            "gpu",
            "warning",
            "leaves the GPU unused",
            "--backend cuda",
        ),
        ({"engine": replace(HEALTHY.engine, backend="cuda")}, "gpu", "bad", "no GPU answers", "nvidia-smi"),
        ({"nvidia_card": True}, "gpu", "warning", "driver is not loaded", "driver"),
        ({"hardware": Hardware("cpu", (0,), 2 * GIB, GIB)}, "memory", "bad", "about 3 GB", "memory"),
        ({"hardware": Hardware("cpu", (0,), 24 * GIB, GIB)}, "memory", "warning", "about 3 GB", "ps"),
        ({"cxx_compiler": ""}, "compiler", "warning", "no C++ compiler", "sudo dnf install gcc-c++"),
        ({"cxx_compiler": "", "packages": "apt"}, "compiler", "warning", "no C++ compiler", "sudo apt install g++"),
        ({"libnuma": False}, "libnuma", "bad", "no libnuma", "sudo dnf install numactl-libs"),
        ({"libnuma": False, "packages": "apt"}, "libnuma", "bad", "no libnuma", "sudo apt install libnuma1"),
        ({"cxx_compiler": "", "packages": ""}, "compiler", "warning", "g++", "gcc-c++ on Fedora, g++ on Debian"),
        (
            {"starts": (CodeStart("m", "again", "it is cut off"),)},
            "compiled code",
            "warning",
            "m compiled again",
            "next",
        ),
        (
            {"places": (Folder("cache", Path("/c"), 100 << 20, writable=True),)},
            "cache directory",
            "warning",
            "each start compiles",
            "paths.cache",
        ),
        ({"starts": (CodeStart("m", "unkept", "no space"),)}, "compiled code", "warning", "no space", "paths.cache"),
        (
            {
                "places": (
                    Folder("cache", Path("/srv"), 100 * GIB, writable=True, strange="huggingface", owner="vllama"),
                )
            },
            "cache directory",
            "bad",
            "/srv/huggingface does not belong to vllama",
            "sudo chown -R vllama: /srv",
        ),
        (
            {"places": (Folder("models", Path("/srv"), 100 * GIB, writable=False),)},
            "models directory",
            "bad",
            "/srv can't be written by vllama",
            "sudo install -d -o vllama /srv",
        ),
        (
            {"places": (Folder("models", Path("/srv"), 5 * GIB, writable=True),)},
            "models directory",
            "warning",
            "8B model",
            "paths.state",
        ),
        (
            {"places": (Folder("models", Path("/srv"), 1 << 20, writable=True),)},
            "models directory",
            "bad",
            "1.0 MB free",
            "paths.state",
        ),
        (
            {"port": PortFact("127.0.0.1:11434", "ollama", "taken by Ollama", "stop it: systemctl stop ollama")},
            "port",
            "bad",
            "taken by Ollama",
            "systemctl stop ollama",
        ),
        (
            {"models": (ModelFact("big", problem="no weights", hint="Fetch them."),)},
            "model",
            "bad",
            "big: no weights",
            "Fetch them.",
        ),
    ],
)
def test_each_illness_is_reported_with_its_cure(
    changes: dict[str, Any], name: str, state: str, text: str, fix: str
) -> None:
    (finding,) = findings(**changes)
    assert (finding.name, finding.state) == (name, state)
    assert text in finding.text
    assert fix in finding.fix


def test_a_gpu_that_others_use_is_reported() -> None:
    hardware = Hardware("cuda", (0,), 24 * GIB, 16 * GIB, (replace(RTX, free=GIB),))
    (finding,) = findings(hardware=hardware, engine=replace(HEALTHY.engine, backend="cuda"))
    assert finding.state == "warning"
    assert "other programs use it" in finding.text


def test_without_an_engine_space_for_it_is_needed() -> None:
    reported = findings(
        engine=EngineFact(problem="no vLLM engine is installed"),
        places=(Folder("engine", Path("/var/lib/vllama-engine"), GIB, writable=True),),
    )
    assert [finding.name for finding in reported] == ["engine", "engine directory"]
    assert reported[0].fix == "sudo vllama engine install"


def test_without_an_engine_a_python_for_it_is_needed() -> None:
    reported = findings(engine=EngineFact(problem="no vLLM engine is installed"), engine_pythons=())
    assert reported[1].fix == "sudo dnf install python3.14"


def test_a_gpu_needs_a_c_compiler_and_nothing_of_the_cpu_build() -> None:
    cuda = {
        "hardware": Hardware("cuda", (0,), 24 * GIB, 16 * GIB, (RTX,)),
        "engine": replace(HEALTHY.engine, backend="cuda"),
        "cxx_compiler": "",
        "libnuma": False,
    }
    assert findings(**cuda) == []
    (finding,) = findings(**cuda, c_compiler="")
    assert (finding.name, finding.state, finding.fix) == ("compiler", "warning", "sudo dnf install gcc")


def test_before_an_engine_is_installed_the_machine_says_which_compiler_it_will_need() -> None:
    told = findings(engine=EngineFact(problem="no vLLM engine is installed"), cxx_compiler="")
    assert [finding.fix for finding in told if finding.name == "compiler"] == ["sudo dnf install gcc-c++"]


def test_a_service_of_another_user_is_judged_only_as_far_as_it_can_be_seen() -> None:
    facts = replace(HEALTHY, user="me", hidden_service=True, engine=EngineFact(), places=(), models=())
    told = {finding.name: finding for finding in examine(facts)}
    assert told.keys().isdisjoint({"engine", "model"})
    assert [name for name, finding in told.items() if finding.state != "good"] == ["service"]
    assert told["service"].fix.endswith("sudo vllama doctor")


def test_our_own_service_on_the_port_is_fine() -> None:
    assert findings(port=PortFact("127.0.0.1:11434", "vllama")) == []


def test_what_opens_the_service_to_strangers_is_a_warning_that_says_what_to_set():
    facts = replace(
        HEALTHY, exposures=(Exposure("server.management", "anybody may delete models", "Set server.keys."),)
    )
    (finding,) = (one for one in examine(facts) if one.name == "access")
    assert (finding.state, finding.fix) == ("warning", "Set server.keys.")
