from __future__ import annotations

import shlex
from pathlib import Path

from vllama.engine.by_hand import by_hand
from vllama.engine.command import ENTRY
from vllama.engine.spec import EngineSpec

OWN = ("--uds", "/run/x.sock", "--disable-uvicorn-access-log", "--shutdown-timeout", "0")
FLAGS = ("--model", "/models/a b", *OWN, "--max-model-len", "2048", "--speculative-config", '{"a": "it\'s $HOME"}')
SPEC = EngineSpec(
    name="mini",
    argv=("/engine/bin/python", "-m", ENTRY, *FLAGS),
    env={"HOME": "/cache", "PYTHONPATH": "/plugin", "OMP_NUM_THREADS": "2", "OWN": "two words"},
    socket=Path("/run/x.sock"),
    served_name="mini",
    task="generate",
)


def test_it_listens_on_a_port_and_has_nothing_that_only_the_service_needs() -> None:
    found = by_hand(SPEC, "/models/a b", {"OWN": "two words"}, elsewhere=False)
    assert found.argv[:5] == ("/engine/bin/python", "-m", ENTRY, "--model", "/models/a b")
    assert found.argv[5:-4] == ("--max-model-len", "2048", *FLAGS[-2:])
    assert found.argv[-4:] == ("--host", "127.0.0.1", "--port", "8000")
    assert dict(found.env) == {"PYTHONPATH": "/plugin", "OMP_NUM_THREADS": "2", "OWN": "two words"}


def test_a_shell_reads_the_same_words() -> None:
    found = by_hand(SPEC, "/models/a b", {"OWN": "two words"}, elsewhere=False)
    assert shlex.split(str(found)) == ["PYTHONPATH=/plugin", "OMP_NUM_THREADS=2", "OWN=two words", *found.argv]


def test_another_machine_has_a_vllm_of_its_own() -> None:
    found = by_hand(SPEC, "acme/mini", {}, elsewhere=True)
    assert found.argv[:3] == ("vllm", "serve", "acme/mini")
    assert dict(found.env) == {"OMP_NUM_THREADS": "2"}, "our changes to vLLM are not on that machine"


def test_another_machine_gets_a_persons_own_path_without_ours() -> None:
    assert by_hand(SPEC, "acme/mini", {"PYTHONPATH": "/own"}, elsewhere=True).env["PYTHONPATH"] == "/own"
