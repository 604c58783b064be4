"""What goes wrong with the installed service and its engines, and how soon all is well again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.system.bounds import until, within
from tests.system.cgroups import unified
from tests.system.conftest import install
from tests.system.lab import Lab
from tests.system.packages import Packages
from tests.system.roots import Recipe, base_root
from tests.system.service import InstalledService

HASTY = {"hang_timeout": "3s", "probe_interval": "500ms", "restart_backoff": "100ms"}


def said(service: InstalledService, *matches: str) -> str:
    return "\n".join(str(entry["MESSAGE"]) for entry in service.lab.journal("-u", "vllama", "-b", *matches))


def test_a_killed_daemon_is_back_without_orphans(service: InstalledService):
    service.fresh()
    service.chat()
    old = service.processes()
    with within(15, "kill -9 of the daemon: it answers again, nothing of the old one is left"):
        service.lab.run("kill", "-KILL", str(service.pid))
        service.until_answers(15)
        until(lambda: not {*old} & {*service.processes()}, 5)
        assert service.chat().status == 200
    assert service.value("NRestarts") == "1"


def test_a_killed_daemon_refuses_no_connection(service: InstalledService):
    service.fresh()
    with within(20, "kill -9 of the daemon under load: connections wait, none is refused"), service.burst() as told:
        service.lab.run("kill", "-KILL", str(service.pid))
        until(lambda: service.value("NRestarts") == "1" and service.value("ActiveState") == "active", 15)
    assert "refused" not in " ".join(told[1:])


def test_a_hung_daemon_is_ended_by_the_watchdog_and_the_stack_is_told(service: InstalledService):
    service.drop_in("watchdog", "WatchdogSec=3s")
    try:
        service.fresh()
        service.chat()
        old = service.processes()
        with within(20, "SIGSTOP of the daemon: the watchdog (3 s) ends it, the new one answers"):
            service.lab.run("kill", "-STOP", str(service.pid))
            until(lambda: service.value("NRestarts") == "1", 15)
            service.until_answers(15)
        assert not {*old} & {*service.processes()}
        assert "Fatal Python error: Aborted" in said(service)
        assert "most recent call first" in said(service)
        assert service.chat().status == 200
    finally:
        service.drop_in("watchdog")


def test_a_hung_engine_is_the_daemons_business(service: InstalledService):
    service.fresh(engine=HASTY, models={"slow": service.model("slow", token_rate=20, text="word " * 400)})
    stream = service.start_chat("slow", "go on")
    assert stream.stdout is not None
    stream.stdout.readline()
    daemon = service.pid
    with within(25, "SIGSTOP of an engine's core: its client is told, the next one gets an answer"):
        service.lab.run("kill", "-STOP", str(service.core_pid()))
        assert '"error"' in stream.communicate()[0]
        service.lab.write("/var/lib/models/slow/fake.json", "{}")
        assert until(lambda: service.chat("slow").status == 200, 20)
    assert (service.pid, service.value("NRestarts")) == (daemon, "0")


def test_a_killed_engine_is_back(service: InstalledService):
    service.fresh(engine=HASTY)
    service.chat()
    old = service.engine_pid()
    with within(15, "kill -9 of an engine: the next client gets an answer from a new one"):
        service.lab.run("kill", "-KILL", str(old))
        until(lambda: service.engine_pid() not in {0, old}, 10)
        assert service.chat().status == 200
    assert service.value("NRestarts") == "0"


def test_an_engine_that_leaves_children_takes_them_along(service: InstalledService):
    service.fresh(models={"untidy": service.model("untidy", leave_children=True)}, keep_alive="0s")
    with within(15, "an engine that leaves children behind: all are gone after it was unloaded"):
        assert service.chat("untidy").status == 200
        until(lambda: service.processes() == [service.pid], 10)


@pytest.fixture(scope="module")
def small(packages: Packages) -> Iterator[InstalledService]:
    """Installed where MemoryMax= has effect: on a hybrid machine only the v1 hierarchies have it."""
    with Lab(base_root(Recipe()), limits=not unified()) as lab:
        install(lab, packages)
        service = InstalledService(lab)
        service.lay_out_fakes()
        yield service


def test_an_engine_that_takes_all_memory_dies_alone(small: InstalledService):
    small.drop_in("memory", "MemoryMax=400M", "MemorySwapMax=0")
    small.fresh(models={"mini": small.model("mini"), "glutton": small.model("glutton")})
    daemon = small.pid
    with within(40, "memory limit hit: the engine that took it dies, its client is told, the others go on"):
        answer = small.chat("glutton")
        assert answer.status >= 500
        assert "memory" in answer.json["error"]
        assert small.chat("mini").status == 200
    assert (small.pid, small.value("NRestarts")) == (daemon, "0")
