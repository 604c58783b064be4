"""Gives each request its share of the energy that the machine used while it was answered.

The idle machine's power is measured while nothing is answered or loaded, and is not shared among requests. A request's
joules are known some seconds after its end: an interval between two readings is shared when all requests of it have
ended, and their tokens are known. Long answers are not waited for: they get their share by what came of them so far.
Sharing takes 10 µs a request, so it is done in a thread, and handed out in pieces.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from vllama.observe.joules import CPU, Interval, Reading, Work, gpu_device, share, used
from vllama.observe.meter import Meter
from vllama.observe.news import EngineSeen
from vllama.observe.spent import Spent

_PATIENCE: Final = 60.0
"""Seconds after which an interval is shared though an answer of it goes on."""
_FEW: Final = 50
"""Requests that are handed their share in one go."""
_QUIET: Final = 12
"""Idle intervals whose mean is the idle power."""
_LOADING: Final = frozenset({"planning", "starting", "warming", "waking", "dozing", "draining", "stopping"})

Taker: TypeAlias = Callable[[Spent, float], object]
"""Called on the event loop with a request that has ended, the same object as from ``Books``, and its joules."""


@dataclass(slots=True)
class _Ended:
    spent: Spent
    work: Work
    joules: float | None = None


class Energy(Collector):
    """One in a service; belongs to its event loop."""

    def __init__(self, *takers: Taker, clock: Callable[[], float] = time.perf_counter) -> None:
        """``clock``: the one of the readings and of ``Meter.began``."""
        self.takers: list[Taker] = [*takers]
        self._clock = clock
        self._before: Reading | None = None
        self._open: deque[Interval] = deque()
        self._ended: list[_Ended] = []
        self._early: dict[tuple[str, float], float] = {}
        """Joules that answers which go on have got, by their request id and begin."""
        self._devices: dict[str, frozenset[str]] = {}
        """By the key of the engine; those that can't be measured, too."""
        self._quiet: dict[str, deque[float]] = {}
        self._total: dict[str, float] = {}
        self._given: dict[str, float] = {}

    def idle_watts(self) -> dict[str, float]:
        """The power of each device while nothing is answered or loaded; empty where that was not seen yet."""
        return {device: sum(watts) / len(watts) for device, watts in self._quiet.items()}

    def take(self, spent: Spent) -> None:
        """A request has ended; subscribes to ``Books``."""
        if self._before is None or not self._before.counters or spent.waiting is None:
            return
        ended = self._clock()
        began = ended - spent.seconds
        first = ended if spent.first_token is None else began + spent.first_token
        prompt = max(spent.prompt_tokens - spent.cached_tokens, 0)
        generated = max(spent.generated_tokens, spent.reads)
        work = Work(began + spent.waiting, first, ended, prompt, generated)
        self._ended.append(_Ended(spent, work, self._early.pop((spent.request_id, spent.began), None)))

    async def note(self, reading: Reading, engines: Sequence[EngineSeen], live: Sequence[Meter]) -> None:
        """Take a new reading, with the engines of this moment and the requests that are being answered.

        Ends when all shares of this reading are handed out; await it before the next one.
        """
        self._devices |= {one.model.engine_key: _devices(one) for one in engines if one.pid is not None}
        before, self._before = self._before, reading
        if before is None or reading.at <= before.at:
            return
        running = [meter for meter in live if meter.waiting is not None]
        joules = used(before, reading)
        for device, amount in joules.items():
            if not math.isnan(amount):
                self._total[device] = self._total.get(device, 0.0) + amount
        if live or self._ended or any(map(_is_busy, engines)):
            self._open.append(Interval(before.at, reading.at, dict(self._above_idle(joules, reading.at - before.at))))
        else:
            self._note_quiet(joules, reading.at - before.at)
        await self._settle(reading.at, running)

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        labels = ("device",)
        total = CounterMetricFamily(
            "vllama_energy_joules", "Energy that the device used since the start.", labels=labels
        )
        for device, amount in self._total.items():
            total.add_metric((device,), amount)
        idle = GaugeMetricFamily("vllama_idle_watts", "Power while nothing is answered or loaded.", labels=labels)
        for device, watts in self.idle_watts().items():
            idle.add_metric((device,), watts)
        given = CounterMetricFamily("vllama_request_joules", "Energy above idle that requests used.", labels=("model",))
        for model, amount in self._given.items():
            given.add_metric((model,), amount)
        yield from (family for family in (total, idle, given) if family.samples)

    def _above_idle(self, joules: Mapping[str, float], seconds: float) -> Iterator[tuple[str, float]]:
        idle = self.idle_watts()
        for device, amount in joules.items():
            above = amount - idle.get(device, 0.0) * seconds
            yield device, above if math.isnan(above) else max(0.0, above)

    def _note_quiet(self, joules: Mapping[str, float], seconds: float) -> None:
        for device, amount in joules.items():
            if not math.isnan(amount):
                self._quiet.setdefault(device, deque(maxlen=_QUIET)).append(amount / seconds)

    async def _settle(self, now: float, running: Sequence[Meter]) -> None:
        """Share the intervals that no answer is waited for."""
        oldest = min((meter.began + (meter.waiting or 0.0) for meter in running), default=math.inf)
        ready = []
        while self._open and (self._open[0].end <= oldest or now - self._open[0].end >= _PATIENCE):
            ready.append(self._open.popleft())
        begin = self._open[0].begin if self._open else now
        if ready:
            await self._share(ready, [(meter, self._so_far(meter, now)) for meter in running])
        done = [ended for ended in self._ended if ended.work.ended <= begin]
        self._ended = [ended for ended in self._ended if ended.work.ended > begin]
        for first in range(0, len(done), _FEW):
            self._hand_out(done[first : first + _FEW])
            await asyncio.sleep(0)

    async def _share(self, ready: Sequence[Interval], unfinished: Sequence[tuple[Meter, Work]]) -> None:
        """What the intervals hold for each request that ended, or goes on; more may end meanwhile."""
        known = tuple(self._ended)
        works = [(ended.work, self._devices_of(ended.spent.engine)) for ended in known]
        works += [(work, self._devices_of(meter.engine)) for meter, work in unfinished]
        shares = await asyncio.to_thread(share, ready, works)
        for ended, more in zip(known, shares, strict=False):
            ended.joules = _plus(ended.joules, more)
        since = {(one.spent.request_id, one.spent.began): one for one in self._ended[len(known) :]}
        for (meter, _), more in zip(unfinished, shares[len(known) :], strict=True):
            name = (meter.request_id, meter.at)
            if (over := since.get(name)) is not None:
                over.joules = _plus(over.joules, more)
            elif more is not None:
                self._early[name] = self._early.get(name, 0.0) + more

    def _hand_out(self, done: Iterable[_Ended]) -> None:
        for ended in done:
            if ended.joules is not None and not math.isnan(ended.joules):
                self._given[ended.spent.model] = self._given.get(ended.spent.model, 0.0) + ended.joules
                for take in self.takers:
                    take(ended.spent, ended.joules)

    @staticmethod
    def _so_far(meter: Meter, now: float) -> Work:
        first = now if meter.first_token is None else meter.began + meter.first_token
        generated = max(meter.generated_tokens, meter.reads)
        return Work(meter.began + (meter.waiting or 0.0), first, now, meter.prompt_tokens, generated)

    def _devices_of(self, engine: str) -> frozenset[str]:
        return self._devices.get(engine, frozenset({CPU}))


def _devices(engine: EngineSeen) -> frozenset[str]:
    """Each engine needs a processor, too."""
    return frozenset({CPU, *map(gpu_device, engine.gpus)})


def _is_busy(engine: EngineSeen) -> bool:
    return engine.phase in _LOADING or engine.code == "compiling"


def _plus(one: float | None, other: float | None) -> float | None:
    return other if one is None else one if other is None else one + other
