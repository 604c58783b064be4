"""What a known beginning of a prompt saves: the same system prompt in every request, against a new one in each.

Both ways the prompts are equally long. Only where the KV cache of the beginning is there already does the server start
at the end of it; vLLM finds it in whole blocks (16 tokens, 128 on a CPU).
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from vllama.bench.drive import connect
from vllama.bench.figures import Figures, Ratio, figures, ratios
from vllama.bench.legs import BodyWriter, LegProgress, Side, measure_legs
from vllama.bench.rounds import BenchPlan
from vllama.bench.samples import Leg, Target
from vllama.bench.tables import Table, milliseconds
from vllama.bench.targets import TargetPlace, calibrate, find
from vllama.bench.workload import Workload

REPEATED: Final = "repeated"
FRESH: Final = "fresh"


@dataclass(frozen=True, slots=True)
class PrefixComparison:
    """What was measured; legs are named REPEATED or FRESH."""

    target: Target
    workload: Workload
    legs: tuple[Leg, ...]

    @property
    def rows(self) -> list[tuple[Figures, Figures, Ratio]]:
        """For each number of clients: repeated, fresh, and repeated over fresh."""
        found = []
        by_clients = {ratio.clients: ratio for ratio in ratios(self.legs, FRESH)}
        for clients, ratio in by_clients.items():
            both = [
                figures([leg for leg in self.legs if (leg.clients, leg.target) == (clients, kind)])
                for kind in (REPEATED, FRESH)
            ]
            found.append((both[0], both[1], ratio))
        return found


def cached(legs: Sequence[Leg], clients: int) -> float | None:
    """Tokens of a repeated prompt that were found in the cache, on average; None if the server does not report them."""
    found = [
        sample.cached
        for leg in legs
        if (leg.clients, leg.target) == (clients, REPEATED)
        for sample in leg.samples
        if sample.cached is not None
    ]
    return statistics.fmean(found) if found else None


async def measure_prefix(
    place: TargetPlace, work: Workload, plan: BenchPlan, progress: LegProgress
) -> PrefixComparison:
    """Measure both kinds, turn by turn. ``work.prompts.system``: tokens of the system prompt. Raises NotFound."""
    async with connect(place.address) as session:
        target = await find(session, place)
        progress.step(f"loading {target.model}", 0, 1)
        tokens_per_word = await calibrate(session, target, work)
        work = replace(work, prompts=replace(work.prompts, tokens_per_word=tokens_per_word))
        sides = [Side(kind, session, target, _asking(target, kind)) for kind in (REPEATED, FRESH)]
        measured = await measure_legs(sides, work, plan, progress)
    return PrefixComparison(target, work, measured.legs)


def _asking(target: Target, kind: str) -> BodyWriter:
    def body(work: Workload, seed: str, number: int) -> bytes:
        prompts, own = work.prompts, f"{seed}/{kind}"
        system = prompts.system_text() if kind == REPEATED else prompts.system_text(f"{own}/{number}")
        return work.request(target.dialect, target.model, prompts.text(own, number), system)

    return body


def table(prefix: PrefixComparison) -> Table:
    """Time to the first token both ways, for people."""
    head = ["CLIENTS", "PROMPT", "CACHED", "TTFT FRESH", "P99", "TTFT REPEATED", "P99", "RATIO", "SPREAD", "FAILED"]
    rows = []
    for repeated, fresh, ratio in prefix.rows:
        found = cached(prefix.legs, repeated.clients)
        rows.append(
            [
                str(repeated.clients),
                f"{repeated.tokens_in:.0f}",
                "-" if found is None else f"{found:.0f}",
                *_times(fresh),
                *_times(repeated),
                f"{ratio.first.median:.3f}" if ratio.first else "-",
                f"{ratio.first.low:.3f}-{ratio.first.high:.3f}" if ratio.first else "-",
                str(repeated.errors + fresh.errors),
            ]
        )
    return head, rows


def _times(row: Figures) -> list[str]:
    return [milliseconds(row.first.p50), milliseconds(row.first.p99)] if row.first else ["-", "-"]
