"""The kernel is asked for AMX before vLLM's attention uses it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from vllama_engine import amx_permission
from vllama_engine.changing import Unfit


class Cpu:
    """As ``torch.cpu``."""

    def __init__(self, *, has: bool, granted: bool) -> None:
        self.asked = 0
        self._is_amx_tile_supported = lambda: has
        self._granted = granted

    def _init_amx(self) -> bool:
        self.asked += 1
        return self._granted


@pytest.mark.parametrize(
    ("has", "granted", "asked", "uses"),
    [(True, True, 1, True), (True, False, 1, False), (False, False, 0, False)],
)
def test_amx_is_used_only_with_the_kernels_permission(*, has: bool, granted: bool, asked: int, uses: bool) -> None:
    cpu = Cpu(has=has, granted=granted)
    amx_permission.apply(SimpleNamespace(torch=SimpleNamespace(cpu=cpu)))  # type: ignore[arg-type]
    assert (cpu.asked, cpu._is_amx_tile_supported()) == (asked, uses)


def test_a_torch_that_asks_in_another_way_is_left_alone() -> None:
    module: Any = SimpleNamespace(torch=SimpleNamespace(cpu=SimpleNamespace()))
    with pytest.raises(Unfit):
        amx_permission.apply(module)
