"""Which of a name's repositories is fetched: the plan that starts the engine decides."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.unit.fit.machines import GIB, cpu, facts, gpu
from tests.unit.models.test_catalog import FAMILIES
from vllama.config.schema import Config
from vllama.download.plan import choose_by_plan
from vllama.errors import PullFailed
from vllama.fit.hardware import Hardware
from vllama.models.catalog import Catalog, Listing
from vllama.models.model import Facts
from vllama.models.names import parse_name
from vllama.models.sources import Source

BF16, FP8, INT4 = "free/mini-8b", "quant/mini-8b-FP8", "acme/mini-8b-AWQ"
TOKEN = {"HF_TOKEN": "hf_x"}


def weighing(gib: float) -> Facts:
    return facts(dtype="", weight_bytes=int(gib * GIB))


HUB: Mapping[str, Facts | PullFailed] = {BF16: facts(), FP8: weighing(8.5), INT4: weighing(5.5)}


def listing(text: str = "mini:8b") -> Listing:
    name = parse_name(text)
    assert name is not None
    found = Catalog(FAMILIES).find(name)
    assert found is not None
    return found


class ScriptedHub:
    """Tells what it is given, and remembers what it was asked."""

    def __init__(self, reported: Mapping[str, Facts | PullFailed]) -> None:
        self.reported = reported
        self.asked: list[str] = []

    async def __call__(self, source: Source) -> Facts:
        self.asked.append(source.location)
        found = self.reported[source.location]
        if isinstance(found, PullFailed):
            raise found
        return found


async def chosen(machine: Hardware, reported: Mapping[str, Facts | PullFailed] = HUB, text: str = "mini:8b") -> str:
    found = await choose_by_plan(listing(text), Config(), machine, TOKEN, ScriptedHub(reported))
    assert found is not None
    return found.offer.repository


@pytest.mark.parametrize(
    ("machine", "repository"),
    [
        (gpu(24), BF16),
        (gpu(16), FP8),  # 16 bits would fit without any context
        (gpu(16, (7, 5)), INT4),  # too old for 8-bit floats
        (gpu(10), INT4),
        (gpu(4), INT4),  # nothing fits: the smallest
        (cpu(32), BF16),
        (cpu(12), INT4),
    ],
)
async def test_the_most_precise_one_with_a_usual_context_is_taken(machine: Hardware, repository: str):
    assert await chosen(machine) == repository


async def test_the_true_size_counts_and_not_the_catalogues():
    assert await chosen(gpu(24), {**HUB, BF16: weighing(40)}) == FP8


async def test_what_loaded_models_would_free_counts_as_free():
    assert await chosen(gpu(24).holding([(20 * GIB, 20 * GIB)])) == BF16


async def test_a_repository_that_is_gated_or_gone_is_passed_over():
    reported = {**HUB, BF16: PullFailed("gated", code="pull_gated"), FP8: PullFailed("gone", code="pull_unknown")}
    assert await chosen(gpu(80), reported) == INT4


async def test_without_the_hub_the_catalogues_sizes_have_to_do():
    hub = ScriptedHub(dict.fromkeys(HUB, PullFailed("the hub can't be reached")))
    found = await choose_by_plan(listing(), Config(), gpu(24), TOKEN, hub)
    assert found is not None
    assert (found.offer.repository, found.facts, len(hub.asked)) == (BF16, None, 1)


async def test_where_there_is_no_choice_nobody_is_asked():
    hub = ScriptedHub({})
    found = await choose_by_plan(listing("mini:8b-fp8"), Config(), gpu(80), TOKEN, hub)
    assert found is not None
    assert (found.offer.repository, hub.asked) == (FP8, [])
    assert await choose_by_plan(listing("mini:8b-fp8"), Config(), cpu(), TOKEN, hub) is None
