"""The RPM: what it puts where, and what installing, upgrading and removing it does to a running machine."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from tests.system.bounds import within
from tests.system.lab import Lab
from tests.system.network import CLIENTS, PUBLIC, PUBLIC_SERVER
from tests.system.packages import NEWER, Packages
from tests.system.service import InstalledService, documented

EXPOSURE = 2.0


@pytest.fixture(scope="module")
def service(lab: Lab, packages: Packages) -> InstalledService:
    """Installed by dnf on a machine that never had it."""
    service = InstalledService(lab)
    service.purge()
    lab.run("rpm", "-e", "fedora-stand-in", check=False)
    packages.publish(packages.stand_in, packages.current)
    packages.dnf("install", "vllama")
    service.lay_out_fakes()
    return service


def test_installing_makes_the_user_and_enables_nothing(lab: Lab, service: InstalledService):
    assert lab.run("id", "-nG", "vllama").stdout.split() == ["vllama", "video", "render"]
    assert lab.run("stat", "-c", "%U:%G %a", "/etc/vllama.yaml").stdout.strip() == "root:vllama 644"
    assert lab.run("systemctl", "is-enabled", "vllama", check=False).stdout.strip() == "disabled"
    assert lab.run("systemctl", "is-active", "vllama", check=False).stdout.strip() == "inactive"
    assert lab.run("rpm", "-V", "vllama").stdout == ""
    assert lab.run("vllama", "--version").stdout.startswith("vllama version ")


def test_the_network_is_served_without_an_edit_and_manages_nothing(lab: Lab, service: InstalledService):
    lab.run("systemctl", "enable", "--now", "vllama")
    assert service.ask("/api/version").status == 200
    refused = service.ask("/api/pull", {"model": "tinychat"})
    assert refused.status == 403
    assert refused.json["error"].startswith(f"{CLIENTS[1]} may not manage models")
    assert service.ask("/api/version", client=PUBLIC, server=PUBLIC_SERVER).status == 403
    named = ["curl", "-s", "-H", "Host: chat.example", "-w", "%{http_code}", "http://10.77.0.1:11434/api/version"]
    assert lab.client(1, *named).endswith("200"), "Ollama's check of Host is for loopback alone"
    lab.run("systemctl", "disable", "--now", "vllama")
    assert lab.run("rpm", "-V", "vllama").stdout == ""


@pytest.mark.parametrize(
    "file",
    [
        "/etc/vllama.yaml",
        "/usr/bin/vllama",
        "/usr/lib/firewalld/services/vllama.xml",
        "/usr/lib/systemd/system/vllama-gpu.service",
        "/usr/lib/systemd/system/vllama.service",
        "/usr/lib/sysusers.d/vllama.conf",
        "/usr/lib/tmpfiles.d/vllama.conf",
        "/usr/lib/tmpfiles.d/vllama-energy.conf",
        "/usr/share/bash-completion/completions/vllama",
        "/usr/share/fish/vendor_completions.d/vllama.fish",
        "/usr/share/man/man1/vllama.1.gz",
        "/usr/share/man/man5/vllama.yaml.5.gz",
        "/usr/share/man/man8/vllama.service.8.gz",
        "/usr/share/vllama/avahi/vllama.service",
        "/usr/share/vllama/monitoring/grafana/dashboards.yaml",
        "/usr/share/vllama/monitoring/grafana/datasource.yaml",
        "/usr/share/vllama/monitoring/grafana/vllama.json",
        "/usr/share/vllama/monitoring/prometheus/prometheus.yml",
        "/usr/share/vllama/monitoring/prometheus/vllama-alerts.yml",
        "/usr/share/vllama/monitoring/prometheus/vllama-recordings.yml",
        "/usr/share/zsh/site-functions/_vllama",
        "/var/lib/vllama-engine",
    ],
)
def test_the_package_has(lab: Lab, service: InstalledService, file: str):
    assert file in lab.run("rpm", "-ql", "vllama").stdout.splitlines()


def test_the_engines_plugin_is_in_it_with_its_entry_point(lab: Lab, service: InstalledService):
    files = lab.run("rpm", "-ql", "vllama").stdout
    assert "/vllama/engine/plugin/vllama_engine/__init__.py" in files
    assert re.search(r"/vllama/engine/plugin/vllama_engine-\d+\.dist-info/entry_points\.txt$", files, re.MULTILINE)


def test_no_bytecode_of_another_python_and_nothing_outside_of_our_names(lab: Lab, service: InstalledService):
    stray = [file for file in lab.run("rpm", "-ql", "vllama").stdout.splitlines() if "vllama" not in file]
    assert stray == []


def test_rpmlint_finds_nothing(lab: Lab, packages: Packages):
    if shutil.which("rpmlint") is None:
        pytest.fail("rpmlint is not installed (tests/system/prepare.sh)")
    config = "packaging/rpm/rpmlint.toml"
    files = ["packaging/rpm/vllama.spec", f"{lab.root}{packages.current}", f"{lab.root}{packages.source}"]
    done = subprocess.run(["rpmlint", "-c", config, *files], capture_output=True, text=True, check=False)
    assert "0 errors, 0 warnings" in done.stdout, done.stdout


def test_the_specs_unit_tests_need_only_packages_of_the_distribution(lab: Lab, packages: Packages):
    """A builder of Fedora has no browser, no OpenTelemetry and nothing from PyPI. To run them all takes minutes."""
    build = ("/root/rpm/build.sh", "-o", "/root/checked", "-s", packages.tarball)
    lab.run("env", "PYTEST_ADDOPTS=--collect-only", *build, timeout=170)
    assert re.search(r"^\d{4,} tests collected", lab.read("/root/checked/build.log"), re.MULTILINE)


def test_systemd_finds_no_fault_with_the_units(lab: Lab, service: InstalledService):
    done = lab.run("systemd-analyze", "verify", "--man=no", "vllama.service", "vllama-gpu.service")
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("unit", ["vllama.service", "vllama-gpu.service"])
def test_the_sandbox_is_tight(lab: Lab, service: InstalledService, unit: str):
    reported = lab.run("systemd-analyze", "security", "--no-pager", unit).stdout.splitlines()[-1]
    assert float(reported.split(":")[1].split()[0]) <= EXPOSURE, reported


def test_the_man_pages_are_sound(lab: Lab, service: InstalledService):
    for page in ("man1/vllama.1", "man5/vllama.yaml.5", "man8/vllama.service.8"):
        lab.run("sh", "-c", f"gzip -dc /usr/share/man/{page}.gz | mandoc -T lint -W error")


def test_the_shells_complete_its_verbs(lab: Lab, service: InstalledService):
    asked = "COMP_WORDS=(vllama ser) COMP_CWORD=1; _vllama_completion vllama; echo ${COMPREPLY[@]}"
    script = f"source /usr/share/bash-completion/completions/vllama; {asked}"
    assert lab.run("bash", "-c", script).stdout.strip() == "serve"


def test_the_firewall_lets_the_network_in_once_the_service_is_allowed(lab: Lab, service: InstalledService):
    service.fresh()
    lab.run("systemctl", "start", "firewalld")
    try:
        lab.run("firewall-cmd", "--permanent", "--zone=public", "--change-interface=lan0")
        lab.run("firewall-cmd", "--reload")
        assert service.ask("/api/version", seconds=2).status == 0
        for command in documented("The network"):
            lab.run("sh", "-c", command)
        assert service.ask("/api/version").status == 200
    finally:
        lab.run("systemctl", "stop", "firewalld")


def test_an_upgrade_keeps_the_edited_file_and_every_connection(lab: Lab, service: InstalledService, packages: Packages):
    service.fresh()
    lab.run("systemctl", "enable", "vllama")
    edited = lab.read("/etc/vllama.yaml")
    packages.publish(packages.newer)
    with within(30, "an upgrade under load: restarted, edited file kept, no request lost"), service.burst() as reported:
        packages.dnf("upgrade", "vllama")
        service.until_answers(15)
    answered, *failed = reported
    assert failed == []
    assert int(answered) >= 80
    assert lab.read("/etc/vllama.yaml") == edited
    assert "newer version" in lab.read("/etc/vllama.yaml.rpmnew")
    assert lab.run("systemctl", "is-enabled", "vllama").stdout.strip() == "enabled"
    assert lab.run("vllama", "--version").stdout.split()[-1] == NEWER
    assert NEWER in json.dumps([entry["MESSAGE"] for entry in lab.journal("-u", "vllama", "-n", "20")])


def test_an_upgrade_leaves_a_stopped_service_stopped(lab: Lab, service: InstalledService, packages: Packages):
    service.control("stop")
    with within(20, "a downgrade of a stopped service leaves it stopped"):
        lab.run("rpm", "-U", "--oldpackage", packages.current)
    assert service.value("ActiveState") == "inactive"


def test_removing_it_leaves_nothing_running_and_the_state(lab: Lab, service: InstalledService, packages: Packages):
    service.fresh()
    service.chat()
    lab.write("/var/lib/vllama/kept", "")
    with within(20, "removing the package: stopped, no process left, state and edited file kept"):
        packages.dnf("remove", "vllama")
        assert service.processes() == []
    assert lab.run("pgrep", "-u", "vllama", check=False).stdout == ""
    assert (lab.root / "etc/vllama.yaml.rpmsave").exists()
    assert (lab.root / "var/lib/vllama/kept").exists()
    assert not (lab.root / "etc/systemd/system/multi-user.target.wants/vllama.service").is_symlink()
    assert lab.run("id", "vllama").returncode == 0
    service.purge()
    kept_by_dnf = ("-path", "/var/lib/dnf", "-prune", "-o")
    left = lab.run("find", "/etc", "/usr", "/var", *kept_by_dnf, "-name", "*vllama*", "-print").stdout
    assert left == ""
    assert lab.run("id", "vllama", check=False).returncode != 0
