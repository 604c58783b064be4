"""What a known beginning of a prompt saves: the same system prompt in every request, against a new one in each.

Both ways the prompts are equally long. Only where the KV cache of the beginning is there already does the server start
at the end of it; vLLM finds it in whole blocks (16 tokens, 128 on a CPU).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from vllama.bench.drive import connect, send
from vllama.bench.figures import Figures, Ratio, figures, ratios
from vllama.bench.measure import Progress
from vllama.bench.prompts import Prompts
from vllama.bench.rounds import Plan, turns
from vllama.bench.samples import Leg, Target
from vllama.bench.tables import Table, milliseconds
from vllama.bench.targets import Place, calibrate, find
from vllama.bench.workload import Workload

REPEATED: Final = "repeated"
FRESH: Final = "fresh"


@dataclass(frozen=True, slots=True)
class Prefix:
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
    """Tokens of a repeated prompt that were found in the cache, on average; None where the server does not tell."""
    told = [
        sample.cached
        for leg in legs
        if (leg.clients, leg.target) == (clients, REPEATED)
        for sample in leg.samples
        if sample.cached is not None
    ]
    return statistics.fmean(told) if told else None


async def measure_prefix(place: Place, work: Workload, plan: Plan, progress: Progress) -> Prefix:
    """Measure both kinds, turn by turn. ``work.prompts.system``: tokens of the system prompt. Raises NotFound."""
    async with connect(place.address) as session:
        target = await find(session, place)
        progress.step(f"loading {target.model}", 0, 1)
        tokens_per_word = await calibrate(session, target, work)
        work = replace(work, prompts=replace(work.prompts, tokens_per_word=tokens_per_word))
        order = list(turns(plan, (REPEATED, FRESH)))
        for kind in (REPEATED, FRESH):  # the first round would else meet a cold cache
            await _leg(session, target, work, kind, clients=1, requests=2, round_=-1)
        legs: list[Leg] = []
        for turn in order:
            what = f"round {turn.round + 1} of {plan.rounds}: {turn.target} system prompt, {turn.clients} at once"
            progress.step(what, len(legs), len(order))
            legs.append(
                await _leg(
                    session,
                    target,
                    work,
                    turn.target,
                    clients=turn.clients,
                    requests=turn.requests,
                    round_=turn.round,
                )
            )
        progress.step("", len(order), len(order))
    return Prefix(target, work, tuple(legs))


async def _leg(
    session: aiohttp.ClientSession,
    target: Target,
    work: Workload,
    kind: str,
    *,
    clients: int,
    requests: int,
    round_: int,
) -> Leg:
    bodies = list(_bodies(work, target, f"{round_}/{clients}/{kind}", requests, repeated=kind == REPEATED))
    return await send(session, replace(target, name=kind), work, bodies, clients=clients, round_=round_)


def _bodies(work: Workload, target: Target, seed: str, requests: int, *, repeated: bool) -> Iterator[bytes]:
    prompts: Prompts = work.prompts
    for number in range(requests):
        system = prompts.system_text() if repeated else prompts.system_text(f"{seed}/{number}")
        yield work.request(target.dialect, target.model, prompts.text(seed, number), system)


def table(prefix: Prefix) -> Table:
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
