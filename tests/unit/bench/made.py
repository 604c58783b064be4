"""Legs and records out of a few numbers."""

from __future__ import annotations

from vllama.bench.gate import GateVerdict
from vllama.bench.identity import Identity
from vllama.bench.record import MeasuredMachine, Record
from vllama.bench.rounds import BenchPlan
from vllama.bench.samples import Leg, Memory, Sample, Target
from vllama.bench.workload import Workload


def leg(target: str, *firsts: float, seconds: float = 1.0, clients: int = 1, tokens: int = 10, round_: int = 0) -> Leg:
    samples = tuple(Sample(first + 1, first, (0.1, 0.2), 50, tokens) for first in firsts)
    return Leg(target, clients, seconds, samples, round_)


def record(*legs: Leg, verdicts: tuple[GateVerdict, ...] = (), unlike: tuple[str, ...] = ()) -> Record:
    names = tuple(dict.fromkeys(leg.target for leg in legs))
    return Record(
        measured_at="2026-11-21T18:00:00+00:00",
        command=("vllama", "bench", "--prompt", "a <b>"),
        vllama="0.1.0",
        machine=MeasuredMachine("Some CPU", 2, 24 << 30),
        workload=Workload(),
        plan=BenchPlan((1, 4), 2, 2),
        targets=tuple(Target(name, f"http://{name}", "ollama", "m") for name in names),
        identities={name: Identity("Ollama", "0.33.0", "m", "1B", "BF16", 4096) for name in names},
        legs=legs,
        memory={names[0]: Memory(10**9)},
        unlike=unlike,
        verdicts=verdicts,
    )


PAIR = tuple(
    leg(target, 0.1 * (round_ + 1), seconds=seconds * (round_ + 1), clients=clients, round_=round_)
    for round_ in range(2)
    for clients in (1, 4)
    for target, seconds in (("ours", 1.0), ("theirs", 2.0))
)
"""Two rounds, the second twice as slow; one target makes half of what the other one makes."""
