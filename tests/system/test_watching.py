"""What the installed service shows of itself: the page, its description, usage, energy, objectives."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.system.bounds import until
from tests.system.network import CLIENTS, SERVER
from tests.system.service import InstalledService
from vllama.http.page import HEADERS

URL = f"http://{SERVER}:11434"
WEB = Path(__file__).parents[2] / "vllama" / "web"
STATE = "/var/lib/vllama"
RAPL = "/sys/devices/virtual/powercap/intel-rapl/intel-rapl:0"
MASK = "/etc/tmpfiles.d/vllama-energy.conf"


@pytest.fixture(scope="module")
def running(service: InstalledService) -> InstalledService:
    """One service for all of these; who changes it starts it again."""
    service.fresh()
    assert service.chat().status == 200
    return service


def as_nobody(service: InstalledService, *words: str) -> subprocess.CompletedProcess[str]:
    return service.lab.run("runuser", "-u", "nobody", "--", "vllama", *words, check=False)


# ------------------------------------------------------------------------------------------------------ the page


def test_a_browser_of_the_network_gets_the_page_and_a_program_does_not(running: InstalledService):
    browser = ("curl", "-s", "-D", "-", "-H", "Accept: text/html,application/xhtml+xml,*/*;q=0.8", f"{URL}/")
    head, _, body = running.lab.client(1, *browser).partition("\n\n")
    assert "<title>" in body
    assert all(f"{name}: {value}" in head for name, value in HEADERS.items())
    assert running.ask("/").text == "Ollama is running"


def test_each_file_of_the_page_is_in_the_package_and_fetched_only_once(running: InstalledService):
    for file in (path.relative_to(WEB) for path in WEB.rglob("*.*") if path.name != "index.html"):
        curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %header{etag}", f"{URL}/vllama/web/{file}")
        status, _, tag = running.lab.client(1, *curl).partition(" ")
        assert (status, bool(tag)) == ("200", True), file
        again = running.lab.client(1, *curl, "-H", f"If-None-Match: {tag}")
        assert again.startswith("304 "), file


def test_markdown_is_rendered_by_the_distributions_libraries(running: InstalledService):
    text = "# Hi\n\n|a|\n|-|\n|1|\n\n```python\nprint(1)\n```\n"
    done = running.lab.client(1, "curl", "-s", "--data-binary", text, f"{URL}/vllama/markdown")
    assert all(word in done for word in ("<h1>Hi</h1>", "<table>", '<span class="nb">print</span>')), done


def test_the_description_of_the_routes_is_in_the_package(running: InstalledService):
    described = running.ask("/vllama/openapi.json").json
    assert described["openapi"].startswith("3.")
    assert "/vllama/usage" in described["paths"]


# --------------------------------------------------------------------------------------------------------- usage


def recorded(service: InstalledService) -> int:
    """Requests of all times to the model mini, as root sees them."""
    shown = json.loads(service.lab.run("vllama", "usage", "--json", "--by", "model").stdout)
    return sum(row["requests"] for row in shown["rows"] if row["model"].startswith("mini"))


def test_usage_is_recorded_in_the_sandbox_readable_by_the_service_only(running: InstalledService):
    before = recorded(running)
    assert running.chat().status == 200
    assert recorded(running) == before + 1
    shown = running.lab.run("stat", "-c", "%n %U:%G %a", *(f"{STATE}/usage.db{end}" for end in ("", "-wal", "-shm")))
    assert {line.partition(" ")[2] for line in shown.stdout.splitlines()} == {"vllama:vllama 600"}
    peeking = running.lab.run("runuser", "-u", "nobody", "--", "cat", f"{STATE}/usage.db", check=False)
    assert "Permission denied" in peeking.stderr


def test_usage_is_kept_over_a_kill_and_a_stop_leaves_one_file(running: InstalledService):
    before = recorded(running)
    running.lab.run("kill", "-KILL", str(running.pid))
    until(lambda: running.value("NRestarts") != "0", 15)
    running.until_answers(15)
    assert recorded(running) == before
    running.control("restart")
    assert recorded(running) == before
    running.control("stop")
    assert running.lab.run("find", STATE, "-name", "usage.db*").stdout.split() == [f"{STATE}/usage.db"]
    running.control("start")


def test_other_machines_see_their_own_usage_and_delete_nothing(running: InstalledService):
    assert running.chat(client=2).status == 200
    rows = running.ask("/vllama/usage?by=caller", client=2).json["rows"]
    assert {row["caller"] for row in rows} == {CLIENTS[2]}
    deleting = ("curl", "-s", "-w", "%{http_code}", "-X", "DELETE", f"{URL}/vllama/usage?person=anna")
    assert running.lab.client(2, *deleting).endswith("403")


def test_a_user_without_a_key_is_told_what_is_missing(running: InstalledService):
    running.fresh(server={"host": "0.0.0.0", "keys": "everyone"})
    try:
        done = as_nobody(running, "usage")
        assert done.returncode != 0
        assert "API key" in done.stderr
        running.control("stop")
        done = as_nobody(running, "usage")
        assert done.returncode != 0
        assert "systemctl start vllama" in done.stderr
    finally:
        running.fresh()


# -------------------------------------------------------------------------------------------------------- energy


@pytest.fixture
def meter(running: InstalledService) -> Iterator[InstalledService]:
    """A processor's meter as the kernel has it, which only root may read."""
    lab = running.lab
    # Where the machine has no such folders, none can be made in its /sys.
    lab.run("sh", "-c", "for at in /sys/devices/virtual /sys/class; do mount -t tmpfs -o mode=755 meter $at; done")
    lab.run("mkdir", "-p", RAPL, "/sys/class/powercap")
    for name, text in (("name", "package-0"), ("energy_uj", "5000000"), ("max_energy_range_uj", "262143328850")):
        lab.run("sh", "-c", f"echo {text} > {RAPL}/{name}; chmod 0444 {RAPL}/{name}")
    lab.run("chmod", "0400", f"{RAPL}/energy_uj")
    lab.run("ln", "-s", RAPL, "/sys/class/powercap/intel-rapl:0")
    yield running
    running.control("stop")
    lab.run("umount", "/sys/class", "/sys/devices/virtual")
    running.fresh()


def joules(service: InstalledService) -> float | None:
    """What the processor has used, by the metrics; None where it is not measured."""
    curl = ("curl", "-s", "http://127.0.0.1:11434/metrics")
    found = re.search(
        r'^vllama_energy_joules_total\{device="cpu"\} (\S+)$', service.lab.run(*curl).stdout, re.MULTILINE
    )
    return float(found[1]) if found else None


def test_the_energy_is_read_in_the_sandbox_unless_an_administrator_forbids_it(meter: InstalledService):
    meter.lab.run("ln", "-s", "/dev/null", MASK)
    meter.fresh()
    assert joules(meter) is None
    meter.lab.run("rm", MASK)
    meter.control("restart")
    assert meter.lab.run("stat", "-c", "%U:%G %a", f"{RAPL}/energy_uj").stdout.strip() == "root:vllama 440"
    until(lambda: joules(meter) == 0, 20)
    meter.lab.run("sh", "-c", f"echo 12000000 > {RAPL}/energy_uj")
    until(lambda: joules(meter) == 7, 20)


# ----------------------------------------------------------------------------------------------------- objectives


def test_every_user_gets_rules_for_prometheus_from_the_configuration(running: InstalledService):
    assert "has no slos" in as_nobody(running, "slo", "rules").stderr
    running.configure(slos={"chat": {"ttft": "1s at 95 %", "success": "99.9 %"}})
    running.control("reload")
    try:
        done = as_nobody(running, "slo", "rules")
        assert [group["name"] for group in yaml.safe_load(done.stdout)["groups"]]
        assert done.stdout == running.lab.run("vllama", "slo", "rules").stdout
        assert "chat" in as_nobody(running, "slo").stdout
    finally:
        running.configure()
        running.control("reload")
