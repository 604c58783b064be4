"""A booted systemd in a throw-away root: ``with Lab(base_root(Recipe())) as lab: lab.run("systemctl", "start", "x")``.

systemd-nspawn boots an overlay over the base root, whose upper layer is a tmpfs, with namespaces of its own for
mounts, processes, network and control groups and with its own /tmp, /run and /dev: nothing that happens inside reaches
the base root or this machine. The machine needs neither systemd as process 1 nor D-Bus; so commands go in by nsenter.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Final, Self

from tests.system.cgroups import Cgroups, memory_limit
from tests.system.network import SERVER, Network

_NAME: Final = "vllama-lab"
_LABS: Final = Path("/var/tmp")
_BOOT_SECONDS: Final = 60.0
_INSIDE: Final = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "TERM": "dumb",
    "LANG": "C.UTF-8",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
# Without all these, PrivateNetwork=, DevicePolicy= and others silently do nothing inside.
_CAPABILITIES: Final = ("--capability=all", "--drop-capability=CAP_SYS_MODULE,CAP_SYS_RAWIO,CAP_SYS_TIME")


class CommandFailed(AssertionError):
    """A command inside ended with a status other than 0."""


class Lab:
    """``binds``: folders of this machine to see inside, read-only, by their path there.

    Namespaces, control groups and folders have the lab's name with this process's number in it: several runs don't
    meet, and what a run leaves that was killed itself is removed by the next.
    """

    def __init__(self, base: Path, *, binds: Mapping[Path, str] | None = None) -> None:
        self._base = base
        self._binds = dict(binds or {})
        self.name = f"{_NAME}-{os.getpid()}-{secrets.token_hex(3)}"
        self._folder = _LABS / self.name
        self.root = self._folder / "root"
        self._network = Network(self.name)
        self._cgroups = Cgroups(self.name)
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    # ------------------------------------------------------------------------------------------------- its life

    def __enter__(self) -> Self:
        sweep()
        self._folder.mkdir()
        try:
            self._mount()
            self._network.up()
            self._cgroups.make()
            self._boot()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything, also after a failure; nothing in it is worth an orderly end."""
        if self._nspawn is not None:
            self._nspawn.kill()
            self._nspawn.wait()
        _remove(self.name)

    def _mount(self) -> None:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3g,mode=755", "vllama-lab", self._folder], check=True)
        for name in ("up", "work", "root"):
            (self._folder / name).mkdir()
        layers = f"lowerdir={self._base},upperdir={self._folder}/up,workdir={self._folder}/work"
        subprocess.run(["mount", "-t", "overlay", "vllama-lab", "-o", layers, self.root], check=True)
        (self.root / "etc/hosts").write_text(f"127.0.0.1 localhost\n{SERVER} lan-server.test\n")

    def _boot(self) -> None:
        command = [
            "systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--console=pipe",
            f"--directory={self.root}", f"--machine={self.name}",
            f"--network-namespace-path=/run/netns/{self._network.server}",
            "--resolv-conf=off", "--timezone=off", "--link-journal=no", *_CAPABILITIES, "--system-call-filter=bpf",
            *(f"--bind-ro={here}:{there}" for here, there in self._binds.items()),
        ]  # fmt: skip
        enter = f"{self._cgroups.enter_command()} && exec {shlex.join(command)}"
        environ = {
            **os.environ,
            "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
        }
        with (self._folder / "console.log").open("wb") as console:
            self._nspawn = subprocess.Popen(
                ["sh", "-c", enter], env=environ, stdin=subprocess.DEVNULL, stdout=console, stderr=console,
                start_new_session=True,
            )  # fmt: skip
        self._await_boot(self._nspawn)

    def _await_boot(self, nspawn: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _BOOT_SECONDS
        state = ""
        while state not in {"running", "degraded"}:
            if nspawn.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "console.log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"the lab did not boot ({state or 'no answer'}):\n{said}")
            children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
            found = [int(pid) for pid in children.read_text().split() if _name(int(pid)) == "systemd"]
            if found:
                self._leader = found[0]
                state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
            time.sleep(0.05)

    # ---------------------------------------------------------------------------------------- what tests do in it

    def run(self, *command: str, check: bool = True, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root; CommandFailed with what it said unless it ends with 0."""
        return _run([*self._inside(), *command], check=check, timeout=timeout)

    def spawn(self, *command: str) -> subprocess.Popen[str]:
        """Start a command inside and go on."""
        return subprocess.Popen(
            [*self._inside(), *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip

    def client(self, number: int, *command: str, check: bool = True, timeout: float = 60.0) -> str:
        """Run a command of this machine on the lab's network, as that client; what it printed."""
        return _run([*self.on_client(number), *command], check=check, timeout=timeout).stdout

    def on_client(self, number: int) -> Sequence[str]:
        """Words that put a command on that client."""
        return ("ip", "netns", "exec", self._network.client(number))

    def put(self, source: Path, target: str) -> None:
        """Copy a file or a folder into the root."""
        there = self.root / target.lstrip("/")
        there.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, there, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, there)

    def write(self, target: str, text: str, mode: int = 0o644) -> None:
        """Write a file of the root, in place: owner and mode of one that is there stay."""
        file = self.root / target.lstrip("/")
        new = not file.exists()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        if new:
            file.chmod(mode)

    def read(self, target: str) -> str:
        """The text of a file of the root."""
        return (self.root / target.lstrip("/")).read_text()

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """``systemctl show``."""
        shown = self.run("systemctl", "show", unit, f"--property={','.join(properties)}").stdout
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """Entries of the journal, oldest first."""
        self.run("journalctl", "--sync")
        reported = self.run("journalctl", "--output=json", "--no-pager", *matches).stdout
        return [json.loads(line) for line in reported.splitlines()]

    def limit_memory(self, pid: int, size: int) -> AbstractContextManager[None]:
        """Hold a process inside, and those that it will start, to so many bytes together.

        For hybrid machines: there the systemd inside has control groups v2 without a memory controller.
        """
        return memory_limit(f"{self.name}-limit", self._outside(pid), size)

    def _outside(self, pid: int) -> int:
        """This machine's number of a process inside."""
        namespace = Path(f"/proc/{self._leader}/ns/pid").readlink()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has just ended
                words = (process / "status").read_text().partition("NSpid:")[2].partition("\n")[0].split()
                if words[-1] == str(pid) and (process / "ns/pid").readlink() == namespace:
                    return int(words[0])
        raise AssertionError(f"no process {pid} inside")

    def _inside(self) -> list[str]:
        flags = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
        environ = [f"{name}={value}" for name, value in _INSIDE.items()]
        return ["nsenter", "-t", str(self._leader), *flags, "--", "env", "-i", *environ]


def sweep() -> None:
    """Remove the labs of runs that were killed."""
    for folder in _LABS.glob(f"{_NAME}-*-*"):
        if not Path("/proc", folder.name.split("-")[-2]).exists():
            _remove(folder.name)


def _remove(name: str) -> None:
    """Everything of the lab with this name."""
    Cgroups(name).end()  # the children of a killed nspawn live on
    Network(name).down()
    folder = _LABS / name
    for mounted in (folder / "root", folder):
        if subprocess.run(["umount", "-R", mounted], stderr=subprocess.DEVNULL, check=False).returncode:
            subprocess.run(["umount", "-l", mounted], stderr=subprocess.DEVNULL, check=False)
    with contextlib.suppress(OSError):
        folder.rmdir()


def _run(command: Sequence[str], *, check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        start_new_session=True,  # a `kill 0` inside ends nobody outside
    )  # fmt: skip
    if check and done.returncode != 0:
        raise CommandFailed(f"{shlex.join(command[-6:])}: status {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
