"""The one place where a configuration becomes a supervisor: its plans, its policy, its patience, its processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vllama.config.load import Loaded
from vllama.fit.gpu import usable_cores
from vllama.supervisor.loop import Supervisor
from vllama.supervisor.planner import LocalPlanner
from vllama.supervisor.policy import Policy, policy_of
from vllama.supervisor.port import EngineView
from vllama.supervisor.probes import Patience, patience_of
from vllama.supervisor.spawner import LocalSpawner


class Supervision:
    """A supervisor on this machine that follows the configuration. Make it inside a running event loop."""

    def __init__(self, loaded: Loaded, environ: Mapping[str, str], changed: Callable[[EngineView], None]) -> None:
        """``changed``: called when an engine's phase or stage changes."""
        self._environ = environ
        self._spawner = LocalSpawner(spare=loaded.config.engine.spare)
        self.supervisor = Supervisor(*self._parts(loaded), changed, self._spawner)

    def follow(self, loaded: Loaded) -> None:
        """Plan, decide and watch by this configuration from now on; running engines stay as they are."""
        self._spawner.spare = loaded.config.engine.spare
        self.supervisor.reconfigure(*self._parts(loaded))

    def _parts(self, loaded: Loaded) -> tuple[LocalPlanner, Policy, Patience]:
        config = loaded.config
        return LocalPlanner(loaded, self._environ), policy_of(config, usable_cores()), patience_of(config)
