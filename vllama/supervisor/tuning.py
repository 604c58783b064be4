"""The supervisor's durations and limits, as the configuration says them."""

from __future__ import annotations

from vllama.config.schema import Config
from vllama.supervisor.policy import Policy, starts_for
from vllama.supervisor.probes import Patience


def policy_of(config: Config, cores: int) -> Policy:
    """What ``step`` decides by; ``cores``: how many we may run on."""
    engine = config.engine
    return Policy(
        keep_alive=config.keep_alive,
        max_waiting=config.server.max_queue,
        backoff=engine.restart_backoff,
        backoff_max=engine.restart_backoff_max,
        breaker_crashes=engine.breaker_crashes,
        breaker_window=engine.breaker_window,
        breaker_cooloff=engine.breaker_cooloff,
        drain=engine.drain_timeout,
        max_loaded=engine.max_loaded,
        parallel_starts=engine.parallel_starts or starts_for(cores),
        min_residence=engine.min_residence,
        compiles=engine.compile == "auto",
    )


def patience_of(config: Config) -> Patience:
    """How long the probes wait."""
    engine = config.engine
    return Patience(stall=engine.stall_timeout, hang=engine.hang_timeout, interval=engine.probe_interval)
