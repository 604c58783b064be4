"""The processes behind an address of this machine: their CPU time and memory, and that of the GPUs."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

import psutil

from vllama.bench.samples import Memory
from vllama.fit.gpu import detect


class Listeners:
    """The processes that listen at an address; none if it is on another machine, or if we may not see them."""

    def __init__(self, address: str) -> None:
        self._processes: list[psutil.Process] = []
        for pid in listeners(address):
            with suppress(psutil.Error):
                self._processes.append(psutil.Process(pid))

    def cpu(self) -> float | None:
        """User and system seconds so far, of the listeners alone: what is below them computes for them."""
        if not self._processes:
            return None
        total = 0.0
        for process in self._processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    def memory(self) -> Memory | None:
        """What they and all processes below them hold now."""
        family: dict[int, psutil.Process] = {}
        for process in self._processes:
            with suppress(psutil.Error):
                family |= {one.pid: one for one in (process, *process.children(recursive=True))}
        total = _held(family.values())
        return Memory(total, sum(gpu.total - gpu.free for gpu in detect().gpus)) if total else None


def _held(processes: Iterable[psutil.Process]) -> int:
    """The processes' share of their pages (PSS), else all of them (RSS)."""
    total = 0
    for process in processes:
        try:
            total += int(process.memory_full_info().pss)
        except psutil.AccessDenied:
            with suppress(psutil.Error):
                total += int(process.memory_info().rss)
        except psutil.Error:
            continue
    return total


def sockets_below(address: str) -> list[str]:
    """``unix:/PATH`` of each engine of the service at an address of this machine: its children listen there."""
    family: set[int] = set()
    for pid in listeners(address):
        with suppress(psutil.Error):
            family |= {one.pid for one in psutil.Process(pid).children(recursive=True)}
    try:
        known = psutil.net_connections("unix") if family else []
    except psutil.Error:
        return []
    return sorted({f"unix:{one.laddr}" for one in known if one.pid in family and str(one.laddr).endswith(".sock")})


def listeners(address: str) -> set[int]:
    """The processes that listen at an address of this machine, as far as we may see them."""
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
