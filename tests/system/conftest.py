"""Fixtures of the ring that boots a real systemd; where it cannot run, the end of the run says why."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.bounds import TABLE
from tests.system.lab import Lab
from tests.system.packages import Packages, build_all
from tests.system.real_engine import RealEngine
from tests.system.roots import Recipe, base_root
from tests.system.service import InstalledService

_TOOLS = ("systemd-nspawn", "mmdebstrap", "ip", "nsenter", "mount", "curl", "git")
_TEST_SECONDS = 180


def _why_not() -> str:
    """What this machine lacks; empty where the ring can run."""
    if os.geteuid() != 0:
        return "it needs root"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        return f"missing: {', '.join(missing)} (tests/system/prepare.sh installs it on Debian)"
    if not Path("/sys/fs/cgroup").is_dir() or not os.access("/sys/fs/cgroup", os.W_OK):
        return "control groups can't be made here"
    return ""


_LEFT_OUT = _why_not()
if _LEFT_OUT:
    collect_ignore_glob = ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Booting and building take their time; a test itself does not."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.long)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(_TEST_SECONDS, func_only=True))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of scenarios, or why there is none."""
    if _LEFT_OUT:
        terminalreporter.section("tests/system left out")
        terminalreporter.line(f"No systemd was booted, no RPM installed: {_LEFT_OUT}.")
    if TABLE:
        terminalreporter.section("the service in a booted systemd")
        width = max(len(line.sentence) for line in TABLE)
        for line in TABLE:
            terminalreporter.line(f"{line.sentence:<{width}}  within {line.bound:4.0f} s  took {line.seconds:5.1f} s")


@pytest.fixture(scope="session")
def real_engine() -> RealEngine | None:
    """What `make engine` installed on this machine."""
    return RealEngine.find()


@pytest.fixture(scope="session")
def lab(real_engine: RealEngine | None) -> Iterator[Lab]:
    """One boot for all tests: to install anew is quicker."""
    with Lab(base_root(Recipe()), binds=real_engine.binds() if real_engine else {}) as lab:
        yield lab


@pytest.fixture(scope="session")
def packages(lab: Lab) -> Packages:
    return build_all(lab)


@pytest.fixture(scope="module")
def service(lab: Lab, packages: Packages) -> InstalledService:
    """Installed by rpm on a machine that never had it, with fake engines at hand; not started."""
    service = InstalledService(lab)
    service.purge()
    packages.install()
    service.lay_out_fakes()
    return service
