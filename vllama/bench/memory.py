"""Memory of a target that runs on this machine: of the processes behind its address, and of the GPUs."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from vllama.bench.samples import Memory
from vllama.fit.gpu import detect


def memory_of(address: str) -> Memory | None:
    """None where the target is elsewhere, or its processes may not be looked at."""
    pids = _listeners(address)
    if not pids:
        return None
    family: dict[int, psutil.Process] = {}
    for pid in pids:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            family |= {one.pid: one for one in (process, *process.children(recursive=True))}
    total = sum(_held(process) for process in family.values())
    return Memory(total, sum(gpu.total - gpu.free for gpu in detect().gpus)) if total else None


def _held(process: psutil.Process) -> int:
    """The process's share of its pages (PSS), else all of them (RSS)."""
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        with suppress(psutil.Error):
            return int(process.memory_info().rss)
    except psutil.Error:
        pass
    return 0


def _listeners(address: str) -> set[int]:
    scheme, _, rest = address.partition(":")
    try:
        if scheme == "unix":
            return {one.pid for one in psutil.net_connections("unix") if str(one.laddr) == rest and one.pid}
        url = urlsplit(address)
        if not _here(url.hostname or ""):
            return set()
        port = url.port or {"http": 80, "https": 443}[scheme]
        return {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid
        }
    except (psutil.Error, KeyError, ValueError):
        return set()


def _here(host: str) -> bool:
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False
