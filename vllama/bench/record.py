"""A measurement as a value that can be kept: the workload, the servers, the machine, and every sample. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from pydantic import TypeAdapter, ValidationError

from vllama.bench.figures import Figures, Ratio, ratios, table_of
from vllama.bench.gate import GateVerdict
from vllama.bench.identity import Identity
from vllama.bench.rounds import BenchPlan
from vllama.bench.samples import Leg, Memory, Target
from vllama.bench.workload import Workload
from vllama.errors import BadRequest

_UNLIKE_WORK: Final = 0.05
"""Share by which mean lengths may differ before it must be said."""


@dataclass(frozen=True, slots=True)
class MeasuredMachine:
    """Where it was measured."""

    cpu: str
    cores: int
    memory: int
    """Bytes."""
    gpus: tuple[str, ...] = ()
    system: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """All of one measurement. The first target is the one that the others are held against."""

    measured_at: str
    """ISO 8601."""
    command: tuple[str, ...]
    vllama: str
    """Version of the measuring command."""
    machine: MeasuredMachine
    workload: Workload
    plan: BenchPlan
    targets: tuple[Target, ...]
    identities: Mapping[str, Identity]
    legs: tuple[Leg, ...]
    memory: Mapping[str, Memory] = field(default_factory=dict)
    """The most that was seen, of targets on the same machine."""
    unlike: tuple[str, ...] = ()
    """How the targets differ, where a person wanted to go on nevertheless."""
    verdicts: tuple[GateVerdict, ...] = ()

    @property
    def rows(self) -> list[Figures]:
        """A row for each target and number of clients."""
        return table_of(self.legs)

    @property
    def ratios(self) -> list[Ratio]:
        """Of the others to the first target."""
        return ratios(self.legs, self.targets[0].name)

    def judged(self, *verdicts: GateVerdict) -> Record:
        """With what is to be said of it."""
        return replace(self, verdicts=(*self.verdicts, *verdicts))

    def notes(self) -> list[str]:
        """What a reader of the figures must know."""
        found = [f"not the same: {text}" for text in self.unlike]
        return found + unlike_work(self.rows, self.targets[0].name)


_READER: Final = TypeAdapter(Record)


def unlike_work(rows: list[Figures], first: str) -> list[str]:
    """Where targets were asked or answered unequally much: then requests a second and latencies don't compare."""
    found = []
    bases = {row.clients: row for row in rows if row.target == first}
    for row in rows:
        base = bases.get(row.clients)
        if base is None or row.target == first:
            continue
        for what, mine, theirs in (
            ("tokens in a prompt", row.tokens_in, base.tokens_in),
            ("tokens in an answer", row.tokens_out, base.tokens_out),
        ):
            if abs(mine - theirs) > _UNLIKE_WORK * max(mine, theirs):
                found.append(f"{row.clients} clients: {what}: {row.target} {mine:.0f}, {first} {theirs:.0f}")
    return found


def to_json(record: Record) -> bytes:
    """Everything, with the figures that follow from the samples."""
    value: dict[str, Any] = orjson.loads(orjson.dumps(record))
    value["figures"] = {"rows": record.rows, "ratios": record.ratios, "notes": record.notes()}
    return orjson.dumps(value, option=orjson.OPT_INDENT_2 if len(record.legs) < 3 else 0) + b"\n"


def from_json(data: bytes) -> Record:
    """What ``to_json`` wrote; raises BadRequest."""
    try:
        return _READER.validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise BadRequest(f"this is not a measurement of vllama bench: {where}: {problem['msg']}") from error
