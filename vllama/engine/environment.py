"""The environment of one vLLM child: from ours only what it needs, and no secret. Pure.

vLLM's documentation lists its variables under "Environment Variables".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from vllama.engine import executor
from vllama.engine.spec import scratch_directory
from vllama.fit.hardware import Hardware
from vllama.fit.settings import EffectiveSettings

_MAX_STOP_STRINGS: Final = 256
_KEEPALIVE_SECONDS: Final = 75  # longer than our client keeps idle connections
_READY_SECONDS: Final = 7 * 24 * 3600
# What an engine may see of our own environment: devices, libraries, certificates and language; nothing that would
# change what we set, and no secrets.
_INHERITED: Final = (
    "PATH", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_DEVICE_ORDER",
    "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES", "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES", "HSA_OVERRIDE_GFX_VERSION", "ROCM_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR",
)  # fmt: skip
_INHERITED_PREFIXES: Final = ("NCCL_", "GLOO_", "RCCL_")
# The processes of one engine talk to each other on this machine only: otherwise each of them, even a single one, would
# listen on the address of the host's name.
# (vLLM itself passes their addresses on in a file, and asks for VLLM_HOST_IP only where other machines take part.)
_ON_ONE_MACHINE: Final = {"GLOO_SOCKET_IFNAME": "lo", "NCCL_SOCKET_IFNAME": "lo"}
_MORE_MACHINES: Final = ("--nnodes", "--node-rank", "--master-addr", "--data-parallel-address", "--distributed-exec")


def environment(
    settings: EffectiveSettings,
    hardware: Hardware,
    *,
    socket: Path,
    cache: Path,
    environ: Mapping[str, str],
    preload: tuple[Path, ...],
) -> dict[str, str]:
    """The environment of a child, save what it keeps where; a person's ``env`` setting wins over all of it.

    ``cache``, ``environ``, ``preload``: as for ``engine.command.build_spec``.
    """
    inherited = {
        key: value for key, value in environ.items() if key in _INHERITED or key.startswith(_INHERITED_PREFIXES)
    }
    temporary = str(scratch_directory(socket))
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        **({} if any(flag.startswith(_MORE_MACHINES) for flag in settings.values.extra_args) else _ON_ONE_MACHINE),
        **inherited,
        "HOME": str(cache),  # whatever libraries write to HOME is a cache
        "XDG_CACHE_HOME": str(cache),
        "XDG_CONFIG_HOME": str(cache / "config"),
        "TMPDIR": temporary,
        "VLLM_RPC_BASE_PATH": temporary,
        "VLLM_CONFIG_ROOT": str(cache / "config" / "vllm"),
        "HF_HOME": str(cache / "huggingface"),
        "HF_HUB_OFFLINE": "1",  # the model is a directory: nothing is to be fetched by an engine
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_MAX_STOP_STRINGS": str(_MAX_STOP_STRINGS),
        "VLLM_HTTP_TIMEOUT_KEEP_ALIVE": str(_KEEPALIVE_SECONDS),
        # An engine that compiles in the background may pause for hours on a busy machine, and we find stalled starts
        # ourselves. All engines get the same value: compiled code is looked up by the environment it was made in.
        "VLLM_ENGINE_READY_TIMEOUT_S": str(_READY_SECONDS),
        "VLLM_SKIP_MODEL_NAME_VALIDATION": "1",  # derived models share the engine under names of their own
        "VLLM_DISABLE_LOG_LOGO": "1",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "SPT_NOENV": "1",  # setproctitle would write over the environment, by which `leftovers` knows our processes
    }
    if hardware.kind == "cpu":
        env["VLLM_TARGET_DEVICE"] = "cpu"
        if executor.alone(settings, hardware):
            env |= executor.environment(hardware)
        elif settings.values.cpu_threads is not None:
            env["VLLM_CPU_OMP_THREADS_BIND"] = settings.values.cpu_threads
        if preload:
            env["LD_PRELOAD"] = ":".join(map(str, preload))
    else:
        env["VLLM_ENABLE_STARTUP_PLAN"] = "1"  # the second start skips profiling the memory
        if len(settings.gpus) < len(hardware.gpus):
            env["CUDA_DEVICE_ORDER"] = "PCI_BUS_ID"  # as the driver counts them
            numbers = ",".join(map(str, settings.gpus))
            env["HIP_VISIBLE_DEVICES" if hardware.kind == "rocm" else "CUDA_VISIBLE_DEVICES"] = numbers
    return env


def keeping(code: Path) -> dict[str, str]:
    """Where vLLM and the compilers below it keep what they made: below ``code``."""
    return {
        "VLLM_CACHE_ROOT": str(code / "vllm"),
        "TORCHINDUCTOR_CACHE_DIR": str(code / "torchinductor"),
        "TRITON_CACHE_DIR": str(code / "triton"),
        "FLASHINFER_WORKSPACE_BASE": str(code),
    }
