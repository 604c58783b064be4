"""What an administrator types beside the running service: doctor, logs, keys, config."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.system.bounds import until
from tests.system.service import InstalledService

SECRET = "the password is swordfish"


@pytest.fixture(scope="module")
def running(service: InstalledService) -> InstalledService:
    """One service for all of these; none changes it."""
    service.fresh(log={"access": True, "level": "debug"})
    assert service.chat(text=SECRET).status == 200
    return service


def doctor(service: InstalledService) -> dict[str, dict[str, str]]:
    reported = json.loads(service.lab.run("vllama", "doctor", "--json", check=False).stdout)
    return {finding["name"]: finding for finding in reported["findings"]}


def test_the_doctor_looks_at_the_service_and_finds_it_well(running: InstalledService):
    reported = doctor(running)
    assert [finding for finding in reported.values() if finding["state"] == "bad"] == []
    assert reported["config"]["text"] == "/etc/vllama.yaml"
    assert reported["models directory"]["text"].startswith("/var/lib/vllama: ")
    assert reported["port"]["text"] == "0.0.0.0:11434: vLLama is running"
    assert reported["model"]["text"].startswith("mini, ")


def test_the_doctor_finds_what_root_left_in_the_services_directories(running: InstalledService):
    lab = running.lab
    lab.run("touch", "/var/lib/vllama/left")
    try:
        reported = doctor(running)["models directory"]
    finally:
        lab.run("rm", "/var/lib/vllama/left")
    assert reported["state"] == "bad"
    assert reported["fix"] == "sudo chown -R vllama: /var/lib/vllama"


def test_a_user_may_query_the_service_and_learns_where_root_is_needed(running: InstalledService):
    def typed(*words: str) -> subprocess.CompletedProcess[str]:
        return running.lab.run("runuser", "-u", "nobody", "--", "vllama", *words, check=False)

    assert "mini:latest" in typed("list").stdout
    assert "mini:latest" in typed("ps").stdout
    for words in (("doctor",), ("config", "check"), ("catalog", "list", "qwen3"), ("plan", "tinychat")):
        done = typed(*words)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    assert "sudo vllama doctor" in typed("doctor").stdout
    assert "sudo vllama keys" in typed("keys", "list").stderr


def test_no_prompt_and_no_answer_is_in_the_journal(running: InstalledService):
    said = running.lab.run("journalctl", "-u", "vllama", "-b", "-o", "export", "--all").stdout
    assert "POST /api/chat 200" in said
    assert SECRET not in said


def test_an_entry_of_a_request_has_the_id_that_its_client_got(running: InstalledService):
    headers = running.lab.client(1, "curl", "-s", "-D", "-", "-o", "/dev/null", "http://10.77.0.1:11434/api/tags")
    (given,) = [line.split(": ")[1].strip() for line in headers.splitlines() if line.lower().startswith("x-request-id")]
    entries = until(lambda: running.lab.journal(f"VLLAMA_REQUEST_ID={given}"), 10)
    assert "GET /api/tags 200" in entries[0]["MESSAGE"]
    assert entries[0]["SYSLOG_IDENTIFIER"] == "vllama"


def test_logs_follow_one_model(running: InstalledService):
    following = running.lab.spawn("vllama", "logs", "mini", "--follow")
    try:
        assert following.stdout is not None
        first = following.stdout.readline()
        assert "vllama" in first
        running.lab.run("vllama", "stop", "mini")
        assert running.chat().status == 200
        until(lambda: "loading" in following.stdout.readline().lower(), 20)
    finally:
        running.lab.run("pkill", "-x", "journalctl", check=False)
        following.communicate()


def test_keys_are_listed_without_their_secret_and_revoked(running: InstalledService):
    lab = running.lab
    secret = lab.run("vllama", "keys", "add", "kitchen").stdout.strip()
    listed = lab.run("vllama", "keys", "list").stdout
    assert "kitchen" in listed
    assert secret not in listed + lab.read("/etc/vllama.keys")
    assert lab.run("stat", "-c", "%U:%G %a", "/etc/vllama.keys").stdout.strip() == "root:vllama 640"
    lab.run("vllama", "keys", "revoke", "kitchen")
    assert "kitchen" not in lab.run("vllama", "keys", "list").stdout


def test_all_mistakes_of_a_file_are_reported_at_once_with_their_lines(running: InstalledService):
    running.lab.write("/root/wrong.yaml", "server:\n  prot: 1\nkeep_alive: soon\n")
    done = running.lab.run("vllama", "config", "check", "/root/wrong.yaml", check=False)
    assert done.returncode == 78
    assert "/root/wrong.yaml:2: server.prot" in done.stdout + done.stderr
    assert "/root/wrong.yaml:3: keep_alive" in done.stdout + done.stderr
