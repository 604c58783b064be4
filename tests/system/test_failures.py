"""What goes wrong with the installed service and its engines, and how soon all is well again."""

from __future__ import annotations

from contextlib import nullcontext

from tests.system.bounds import until, within
from tests.system.cgroups import unified
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
    with within(20, "kill -9 of the daemon under load: connections wait, none is refused"), service.burst() as reported:
        service.lab.run("kill", "-KILL", str(service.pid))
        until(lambda: service.value("NRestarts") == "1" and service.value("ActiveState") == "active", 15)
    assert "refused" not in " ".join(reported[1:])


def test_a_hung_daemon_is_ended_by_the_watchdog_and_the_stack_is_reported(service: InstalledService):
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
    assert service.chat().status == 200
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


def test_an_engine_that_takes_all_memory_dies_alone(service: InstalledService):
    size = 400 << 20
    if unified():
        service.drop_in("memory", f"MemoryMax={size}", "MemorySwapMax=0")
    service.fresh(models={"mini": service.model("mini"), "glutton": service.model("glutton")})
    daemon = service.pid
    held = nullcontext() if unified() else service.lab.limit_memory(daemon, size)
    try:
        with held, within(40, "memory limit hit: the engine that took it dies, its client is told, the others go on"):
            answer = service.chat("glutton")
            assert answer.status >= 500
            assert "memory" in answer.json["error"]
            assert service.chat("mini").status == 200
        assert (service.pid, service.value("NRestarts")) == (daemon, "0")
    finally:
        service.drop_in("memory")


def test_a_service_that_fails_at_each_start_is_left_alone_after_five(service: InstalledService):
    service.control("stop")
    service.drop_in("broken", "ExecStart=", "ExecStart=/usr/bin/false", "RestartSec=50ms", "RestartSteps=0")
    try:
        with within(20, "a service that fails at each start is given up after five starts"):
            service.control("start", check=False)
            until(lambda: service.value("ActiveState") == "failed", 15)
        assert service.value("NRestarts") == "5"
    finally:
        service.drop_in("broken")
    service.fresh()
    assert service.chat().status == 200


def test_a_taken_port_is_reported_and_served_once_it_is_free(service: InstalledService):
    lab = service.lab
    service.control("stop")
    service.configure()
    lab.run("systemd-run", "--unit=other", "python3", "-m", "http.server", "11434")
    try:
        until(lambda: service.ask("/", seconds=2).status == 200, 15)
        with within(40, "a taken port: told with what to do, served soon after it is free"):
            service.control("start", check=False)
            reported = said(service, "-t", "vllama", "-p", "err", "-n", "2")
            lab.run("systemctl", "stop", "other")
            until(lambda: service.value("ActiveState") == "active", 30)
            assert service.chat().status == 200
    finally:
        lab.run("systemctl", "stop", "other", check=False)
    assert "0.0.0.0:11434 is in use" in reported
    assert "server.port" in reported


def test_files_of_somebody_else_in_the_state_directory_are_reported(service: InstalledService):
    lab = service.lab
    service.control("stop")
    lab.run("sh", "-c", "rm -f /var/lib/vllama/vllama.lock; install -m 0600 /dev/null /var/lib/vllama/vllama.lock")
    service.control("start", check=False)
    assert service.value("ActiveState") == "failed"
    assert service.value("ExecMainStatus") == "78"
    reported = said(service, "-t", "vllama", "-p", "err", "-n", "2")
    assert "/var/lib/vllama" in reported
    assert "chown" in reported
    lab.run("chown", "-R", "vllama:vllama", "/var/lib/vllama")
    service.fresh()
    assert service.chat().status == 200


def test_a_configuration_that_the_service_may_not_read_is_reported_with_what_fixes_it(service: InstalledService):
    lab, mended = service.lab, service.lab.run("stat", "-c", "%U:%G", "/etc/vllama.yaml").stdout.strip()
    service.fresh()
    lab.run("chown", "root:root", "/etc/vllama.yaml")
    lab.run("chmod", "640", "/etc/vllama.yaml")
    try:
        service.control("reload")
        assert service.chat().status == 200
        assert "invalid" in service.status_text()
        service.control("restart", check=False)
        assert service.value("ExecMainStatus") == "78"
    finally:
        lab.run("chown", mended, "/etc/vllama.yaml")
        lab.run("chmod", "644", "/etc/vllama.yaml")
    reported = said(service, "-t", "vllama", "-p", "err", "-n", "2")
    assert "can't read the configuration file /etc/vllama.yaml" in reported
    assert "sudo chown root:vllama /etc/vllama.yaml" in reported
    service.fresh()
