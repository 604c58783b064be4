"""An engine of one rank shares its first process group; engines of more ranks, and other libraries, are left alone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from vllama_engine import one_group
from vllama_engine.changing import Unfit


def distributed(world_size: int = 1, backend: str = "gloo") -> SimpleNamespace:
    """As ``torch.distributed`` once the default group was made; remembers what is made and destroyed."""
    made: list[Any] = []
    destroyed: list[Any] = []

    def new_group(ranks=None, timeout=None, backend=None, **kwargs):
        made.append((ranks, timeout, backend, kwargs))
        return made[-1]

    return SimpleNamespace(
        made=made,
        destroyed=destroyed,
        group=SimpleNamespace(WORLD="the default group"),
        get_world_size=lambda: world_size,
        get_backend=lambda: backend,
        new_group=new_group,
        destroy_process_group=lambda group=None: destroyed.append(group),
    )


def test_one_rank_makes_do_with_the_default_group():
    torch = distributed()
    one_group.apply(torch)
    groups = {torch.new_group([0], backend="gloo", timeout=30), torch.new_group([0], 30), torch.new_group()}
    assert groups == {"the default group"}
    assert torch.made == []


def test_the_shared_group_is_destroyed_with_all_others_only():
    torch = distributed()
    one_group.apply(torch)
    torch.destroy_process_group("the default group")
    assert torch.destroyed == []
    torch.destroy_process_group("another group")
    torch.destroy_process_group()
    assert torch.destroyed == ["another group", None]


@pytest.mark.parametrize(("ranks", "backend"), [(2, "gloo"), (1, "nccl")])
def test_several_ranks_and_gpus_get_groups_of_their_own(ranks: int, backend: str):
    torch = distributed(ranks, backend)
    one_group.apply(torch)
    assert torch.new_group([0], backend="gloo", timeout=30, group_desc="tp") == torch.made[0]
    assert torch.made == [([0], 30, "gloo", {"group_desc": "tp"})]
    torch.destroy_process_group("the default group")
    assert torch.destroyed == ["the default group"]


def test_a_group_for_another_library_is_made():
    torch = distributed()
    one_group.apply(torch)
    assert torch.new_group([0], backend="mpi") == torch.made[0]


def test_a_torch_that_makes_groups_in_another_way_is_left_alone():
    with pytest.raises(Unfit, match="new_group"):
        one_group.apply(SimpleNamespace())
