"""Starts a model's engine with one candidate's settings after the other, and measures each.

The engines live in a directory of their own and end with their trial, so nothing that runs or is kept is touched.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vllama.bench.candidates import Candidate, together
from vllama.bench.figures import table_of
from vllama.bench.legs import LegProgress
from vllama.bench.measure import measure
from vllama.bench.rounds import BenchPlan
from vllama.bench.targets import TargetPlace
from vllama.bench.trials import Trial, to_confirm, winners
from vllama.bench.workload import Workload
from vllama.config.load import Loaded
from vllama.config.schema import Settings
from vllama.errors import LoadFailed, VllamaError
from vllama.models.model import Model
from vllama.models.names import parse_name
from vllama.service.supervision import Supervision
from vllama.supervisor.planner import socket_path
from vllama.supervisor.port import FOREVER, EngineView, Wish


@dataclass(frozen=True, slots=True)
class Tuning:
    """Tries candidates on this machine."""

    loaded: Loaded
    model: Model
    environ: Mapping[str, str]
    work: Workload
    plan: BenchPlan
    step: Callable[[str, int, int], None]
    """The current step, how many trials are done, of how many."""
    done: Callable[[Trial], None]
    """A trial is over."""

    async def run(self, choices: Sequence[Candidate]) -> tuple[Trial, list[Trial], Trial, list[Trial]]:
        """The settings that hold, all candidates with the best of them together, those that hold again, winners again.

        Raises LoadFailed and its like when the model can't be loaded as it is.
        """
        total = len(choices) + 4
        first = await self._trial(Candidate({}), 0, total)
        if first.problem:
            raise LoadFailed(f"it can't be measured with its current settings: {first.problem}")
        trials = [await self._trial(choice, number, total) for number, choice in enumerate(choices, 1)]
        both = together(winners(first, trials))
        if both is not None:
            trials.append(await self._trial(both, total - 3, total))
        last = await self._trial(Candidate({}), total - 2, total)
        again: list[Trial] = []
        while (winner := to_confirm(first, trials, last, again)) is not None:
            again.append(await self._trial(winner, total - 1, total))
        return first, trials, last, again

    async def _trial(self, candidate: Candidate, number: int, total: int) -> Trial:
        """A candidate that can't be loaded is a finding, too."""
        runtime = Path(tempfile.mkdtemp(prefix="vllama-"))
        try:
            trial = await self._measured(candidate, runtime, number, total)
        except VllamaError as error:
            trial = Trial(candidate, problem=error.detail)
        finally:
            shutil.rmtree(runtime, ignore_errors=True)
        self.done(trial)
        return trial

    async def _measured(self, candidate: Candidate, runtime: Path, number: int, total: int) -> Trial:
        def report(what: str) -> None:
            self.step(f"{candidate.name}: {what}", number, total)

        def changed(view: EngineView) -> None:
            if view.phase in {"planning", "starting", "warming"}:
                report(view.stage)

        loaded = with_settings(self.loaded, self.model, candidate.changes)
        loaded = replace(loaded, directories=replace(loaded.directories, runtime=runtime))
        supervisor = Supervision(loaded, self.environ, changed).supervisor
        try:
            async with supervisor.lease(Wish(self.model, FOREVER)) as lease:
                address = f"unix:{socket_path(runtime, self.model)}"
                place = TargetPlace(candidate.name, address, "openai", lease.served_name)
                progress = LegProgress(lambda _: None, lambda what, _, __: report(what))
                outcome = await measure([place], self.work, self.plan, progress)
        finally:
            report("stopping the engine")
            await supervisor.close()
        return Trial(candidate, tuple(table_of(outcome.legs)))


def with_settings(loaded: Loaded, model: Model, changes: Mapping[str, object]) -> Loaded:
    """The configuration with these settings tuned for the model, instead of those that were."""
    tuned = {name: found for name, found in loaded.config.tuned.items() if not _same(name, model)}
    before = next((found for name, found in loaded.config.tuned.items() if _same(name, model)), Settings())
    values = {**before.model_dump(exclude_unset=True), **changes}
    tuned[model.name.short] = Settings.model_validate(values)
    # what is measured is what will be served, and nothing is prepared for a next engine meanwhile
    engine = loaded.config.engine.model_copy(update={"compile": "always", "spare": False})
    return replace(loaded, config=loaded.config.model_copy(update={"tuned": tuned, "engine": engine}))


def _same(name: str, model: Model) -> bool:
    parsed = parse_name(name)
    return parsed is not None and parsed.key == model.name.key
