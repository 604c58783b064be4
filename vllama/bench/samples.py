"""What a measurement is made of: whom we asked, and what each client saw. Pure."""

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
class Answer:
    """One request as its client saw it; seconds."""

    first: float
    """From sending to the first bytes of the answer's body: the first token."""
    total: float
    tokens: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Leg:
    """One target under a number of clients for a while."""

    target: str
    clients: int
    seconds: float
    answers: tuple[Answer, ...]

    @property
    def tokens_per_second(self) -> float:
        """All clients together."""
        return sum(answer.tokens for answer in self.answers) / self.seconds
