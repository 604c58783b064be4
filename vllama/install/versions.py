"""Which vLLM we install and for what hardware. Pure.

``PINNED`` is the version our lock files hold. ``TESTED`` is wider: the versions whose wire, flags and log lines
the tests have seen, so that an interpreter named by ``engine.python`` may be older or newer within it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Backend = Literal["cpu", "cuda", "rocm"]

PINNED: Final = "0.32.0"

TESTED: Final = ((0, 32), (0, 33))
"""From (inclusive) and up to (exclusive). 0.32 is the first vLLM with ``entrypoints.launchers`` (the module we run),
``--enable-per-request-metrics`` (our durations) and ``--max-num-queued-reqs``; 0.33 removes flags that 0.32 only
deprecates, and nothing of ours has met it yet."""

PYTHONS: Final = ((3, 14), (3, 13), (3, 12), (3, 11))
"""What vLLM 0.32 runs on (``Requires-Python >=3.11,<3.15``), newest first."""

TORCH: Final = "2.13.0"
"""The torch that vLLM 0.32.0 was compiled against; its wheels ask for exactly this one."""

PUBLIC_TORCH_COST: Final = "4.7 GB on disk instead of 1.7 GB"
"""What the public index's torch (a CUDA build) costs with its libraries where no ``+cpu`` wheel can be had."""


@dataclass(frozen=True, slots=True)
class Devices:
    """What the machine has, as far as it matters for the choice of a build."""

    nvidia_card: bool = False
    nvidia_driver: bool = False
    amd_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend and why it was taken."""

    backend: Backend
    reason: str


def choose_backend(devices: Devices) -> Choice:
    """The build for this machine.

    A card without its driver gets the CPU build, because the CUDA build would not start. So does an AMD GPU: vLLM's
    ROCm wheels are on no public index, so no lock file can vouch for them.
    """
    if devices.nvidia_driver:
        return Choice("cuda", "an NVIDIA GPU with its driver")
    if devices.nvidia_card:
        return Choice(
            "cpu",
            "there is an NVIDIA card but its driver is not loaded; install the driver, "
            "then run `vllama engine install --backend cuda`",
        )
    if devices.amd_gpu:
        return Choice("cpu", "there is an AMD GPU, but " + ROCM_REFUSAL)
    return Choice("cpu", "no GPU found")


ROCM_REFUSAL: Final = (
    "vLLM's ROCm build is on no public index: install it by vLLM's own instructions "
    "and name its interpreter as `engine.python` in the configuration"
)


def parse_version(text: str) -> tuple[int, ...]:
    """``0.32.0+cpu`` → ``(0, 32, 0)``; stops at the first part that is not a number."""
    parts: list[int] = []
    for part in text.split("+", maxsplit=1)[0].split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        parts.append(int(digits))
    return tuple(parts)


def is_tested(version: str) -> bool:
    """Whether this vLLM is one whose flags and replies our tests have seen."""
    low, high = TESTED
    return low <= parse_version(version) < high
