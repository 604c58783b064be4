"""What a measurement is made of: the servers, and what each client saw. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from vllama.bench.workload import Dialect


@dataclass(frozen=True, slots=True)
class Target:
    """A server to ask: ``http://host:port`` or ``unix:/path``."""

    name: str
    address: str
    dialect: Dialect
    model: str


@dataclass(frozen=True, slots=True)
class Sample:
    """One request as its client saw it; seconds."""

    total: float
    """From sending to the end of the answer."""
    first: float | None = None
    """From sending to the first token (TTFT); None if the answer was not streamed, or had no token."""
    gaps: tuple[float, ...] = ()
    """Between one piece of text and the next (ITL). A server that is slow to send may put several tokens in one."""
    tokens_in: int = 0
    """Of the prompt, by the server's count."""
    tokens_out: int = 0
    """Generated, by the server's count."""
    cached: int | None = None
    """Tokens of the prompt that were found in the KV cache; None if the server does not report them."""
    error: str = ""

    @property
    def per_token(self) -> float | None:
        """Mean time of a token after the first (TPOT)."""
        if self.first is None or self.tokens_out < 2:
            return None
        return (self.total - self.first) / (self.tokens_out - 1)


@dataclass(frozen=True, slots=True)
class Leg:
    """One target under a number of clients for a while."""

    target: str
    clients: int
    seconds: float
    samples: tuple[Sample, ...]
    round: int = 0
    cpu: float | None = None
    """Seconds of CPU that the processes at the address took for it; None where they are elsewhere."""

    @property
    def cpu_per_token(self) -> float | None:
        """Seconds; of what answers at the address, not of what computes for it."""
        tokens = sum(sample.tokens_out for sample in self.samples)
        return None if self.cpu is None or not tokens else self.cpu / tokens

    @property
    def tokens_per_second(self) -> float:
        """Generated for all clients together."""
        return sum(sample.tokens_out for sample in self.samples) / self.seconds

    @property
    def requests_per_second(self) -> float:
        """Answered without an error."""
        return sum(not sample.error for sample in self.samples) / self.seconds


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a target, in bytes."""

    processes: int
    """Of those that listen at the address and all below them; pages that they share are counted once."""
    gpus: int = 0
    """In use on all GPUs of the machine, by any program; 0 without GPUs."""
