"""What the pages for administrators say of the service: another disk, a backup, Ollama next to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Final

from tests.system.bounds import until
from tests.system.service import InstalledService

_DOCS: Final = Path(__file__).parents[2] / "docs"
_PIRATE: Final = json.dumps({"model": "pirate", "from": "mini", "system": "Arr.", "stream": False})
_OLLAMA: Final = "[Service]\nExecStart=/usr/bin/python3 -m http.server 11435\n"


def on_this_machine(service: InstalledService, path: str, body: str = "", port: int = 11434) -> str:
    """Output of a request from the server itself, as root may manage models there."""
    words = ["curl", "-s", "--retry", "5", "--retry-connrefused", f"http://127.0.0.1:{port}{path}"]
    return service.lab.run(*words, *(["--json", body] if body else [])).stdout


def owners(service: InstalledService) -> str:
    """User, group and mode of what only root and the service may read."""
    return service.lab.run("stat", "-c", "%U:%G %a", "/etc/vllama.yaml", "/etc/vllama.keys").stdout


def test_models_live_on_another_disk_with_the_pages_drop_in(service: InstalledService):
    unit = re.search(
        r"^\[Service\]\n(ReadWritePaths=.*?)^```", (_DOCS / "storage.md").read_text(), re.MULTILINE | re.DOTALL
    )
    assert unit
    service.lab.run("sh", "-c", "mkdir -p /data/vllama && chown vllama: /data/vllama && chmod 750 /data/vllama")
    service.drop_in("disk", *unit[1].split("\n"))
    service.fresh(paths={"state": "/data/vllama"})
    assert '"success"' in on_this_machine(service, "/api/create", _PIRATE)
    assert service.lab.run("ls", "/data/vllama/manifests").stdout.startswith("pirate-latest-")
    service.drop_in("disk")


def test_a_backup_brings_back_keys_models_and_owners(service: InstalledService):
    lab = service.lab
    service.fresh()
    on_this_machine(service, "/api/create", _PIRATE)
    lab.run("vllama", "keys", "add", "kept")
    lab.run("chmod", "640", "/etc/vllama.yaml")
    config, before = lab.read("/etc/vllama.yaml"), owners(service)
    lab.run("vllama", "backup", "/root/vllama.tar")
    service.control("stop")
    lab.run("sh", "-c", "rm -rf /var/lib/vllama/manifests /etc/vllama.keys; echo 'keep_alive: 1h' > /etc/vllama.yaml")
    lab.run("vllama", "restore", "/root/vllama.tar")
    assert lab.read("/etc/vllama.yaml") == config
    assert owners(service) == before
    service.control("start")
    assert "pirate:latest" in on_this_machine(service, "/api/tags")
    assert " kept" in lab.run("vllama", "keys", "list").stdout
    lab.run("rm", "/root/vllama.tar")


def test_without_conflicts_in_a_whole_copy_of_the_unit_ollama_runs_next_to_it(service: InstalledService):
    lab = service.lab
    lab.write("/etc/systemd/system/ollama.service", _OLLAMA)
    copy = "sed '/^Conflicts=ollama.service/d' /usr/lib/systemd/system/vllama.service"
    lab.run("sh", "-c", f"{copy} > /etc/systemd/system/vllama.service && systemctl daemon-reload")
    try:
        lab.run("systemctl", "start", "ollama")
        service.fresh()
        assert service.ask("/api/version").status == 200
        until(lambda: "Directory listing" in on_this_machine(service, "/", port=11435), 15)
    finally:
        lab.run("systemctl", "stop", "ollama")
        lab.run("systemctl", "revert", "vllama")
        lab.run("sh", "-c", "rm /etc/systemd/system/ollama.service; systemctl daemon-reload")
    assert "ollama.service" in service.value("Conflicts")


def test_a_drop_in_does_not_take_conflicts_back(service: InstalledService):
    """Why the page says `systemctl edit --full`."""
    service.lab.run("sh", "-c", "mkdir -p /run/systemd/system/vllama.service.d")
    place = "/run/systemd/system/vllama.service.d/both.conf"
    service.lab.run("sh", "-c", f"printf '[Unit]\\nConflicts=\\n' > {place}; systemctl daemon-reload")
    assert "ollama.service" in service.value("Conflicts")
    service.lab.run("sh", "-c", f"rm {place}; systemctl daemon-reload")
