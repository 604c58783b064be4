"""Estimates how much memory a model's weights may take: which precision is worth downloading. Pure."""

from __future__ import annotations

from typing import Final

from vllama.fit.hardware import Hardware
from vllama.models.catalog import Precision, WeightRoom

_GPU_SHARE: Final = 0.85
"""The rest is for the KV cache, activations and the driver."""
_RAM_SHARE: Final = 0.6
_EIGHT_BITS_FROM: Final = (8, 0)
"""CUDA compute capability: older cards can't even unpack 8-bit floats."""


def room_for_weights(hardware: Hardware, *, token: bool) -> WeightRoom:
    """``token``: whether we may show the hub one."""
    if hardware.kind == "cpu" or not hardware.gpus:
        precisions: frozenset[Precision] = frozenset({"bf16", "int4"})
        return WeightRoom(int(hardware.ram_total * _RAM_SHARE), precisions, token=token)
    eight = all(gpu.capability is None or gpu.capability >= _EIGHT_BITS_FROM for gpu in hardware.gpus)
    precisions = frozenset({"bf16", "fp8", "int4"}) if eight else frozenset({"bf16", "int4"})
    return WeightRoom(int(sum(gpu.total for gpu in hardware.gpus) * _GPU_SHARE), precisions, token=token)
