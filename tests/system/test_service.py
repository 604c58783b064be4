"""The installed service: starting, serving a network, reloading, restarting, stopping."""

from __future__ import annotations

import json

from tests.system.bounds import until, within
from tests.system.network import CLIENTS, PUBLIC, PUBLIC_SERVER
from tests.system.service import ENGINES, InstalledService


def test_without_an_engine_it_serves_and_reports_the_one_command_everywhere(service: InstalledService):
    service.configure(engine={"python": None}, models={"tinychat": {"source": "builtin:tinychat"}})
    command = "sudo vllama engine install"
    with within(15, "the first start, without an engine, answers /api/version"):
        service.control("start")
        assert service.ask("/api/version").json["version"]
    assert command in service.status_text()
    assert any(command in entry["MESSAGE"] for entry in service.lab.journal("-u", "vllama", "-p", "warning"))
    answer = service.chat("tinychat")
    assert answer.status == 503
    assert command in answer.json["error"]


def test_an_engine_that_is_installed_while_it_runs_needs_no_restart(service: InstalledService):
    mini = service.model("mini")
    service.fresh(engine={"python": None}, models={"mini": mini}, preload=["mini"])
    assert "no vLLM engine is installed" in service.status_text()
    daemon = service.pid
    with within(30, "an engine is installed while the service runs: what is to be preloaded is served"):
        service.install_fake_engine("0.32.0")
        service.until_status("serving 1 model: mini", 30)
    old = service.engine_pid()
    service.install_fake_engine("0.32.1")
    assert service.chat().status == 200
    assert service.engine_pid() == old
    with within(20, "a reload after another engine was installed: loaded models move over to it"):
        service.control("reload")
        until(lambda: service.engine_pid() not in {0, old}, 15)
        assert service.chat().status == 200
    assert "0.32.1-cpu" in service.lab.run("cat", f"/proc/{service.engine_pid()}/cmdline").stdout
    assert (service.pid, service.value("NRestarts")) == (daemon, "0")


def test_an_engine_whose_python_is_gone_is_reported_with_the_command(service: InstalledService):
    service.install_fake_engine("0.31.0")
    service.fresh(engine={"python": None})
    with within(20, "an upgrade of the distribution takes the engine's Python away: told with the command"):
        service.lab.run("ln", "-sf", "/usr/bin/python3.9", f"{ENGINES}/0.31.0-cpu/bin/python")
        service.until_status("is missing (/usr/bin/python3.9)", 20)
    assert "sudo vllama engine install" in service.status_text()
    service.lab.run("sh", "-c", f"rm -r {ENGINES}/*")


def test_a_client_of_the_network_chats_lists_and_may_not_pull(service: InstalledService):
    service.fresh()
    with within(20, "a client on the network gets its first answer from a cold engine"):
        answer = service.chat()
    assert answer.json["message"]["content"] == "hello"
    assert [model["name"] for model in service.ask("/api/tags", client=2).json["models"]] == ["mini:latest"]
    refused = service.ask("/api/pull", {"model": "mini"})
    assert refused.status == 403
    assert refused.json["error"].startswith(f"{CLIENTS[1]} may not manage models")
    assert service.status_text() == "serving 1 model: mini"


def test_a_public_address_is_refused(service: InstalledService):
    answer = service.ask("/api/version", client=PUBLIC, server=PUBLIC_SERVER)
    assert answer.status == 403
    assert "is not served" in answer.json["error"]


def test_a_key_lets_another_machine_manage_at_once_until_it_is_revoked(service: InstalledService):
    lab = service.lab
    secret = lab.run("vllama", "keys", "add", "laptop", "--scope", "manage").stdout.strip()
    body = json.dumps({"source": "mini", "destination": "copy"})
    curl = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--json", body, "http://10.77.0.1:11434/api/copy"]
    with_key = [*curl, "-H", f"Authorization: Bearer {secret}"]
    assert lab.client(1, *curl) == "403"
    assert lab.client(1, *with_key) != "403"
    lab.run("install", "-D", "-m", "0600", "/etc/vllama.keys", "/etc/credstore/vllama.keys")
    lab.run("vllama", "keys", "revoke", "laptop")
    assert lab.client(1, *with_key) == "403"
    service.control("restart")
    assert lab.client(1, *with_key) != "403", "systemd hands the same key over as a credential"
    lab.run("rm", "/etc/credstore/vllama.keys")


def test_on_a_healthy_day_the_journal_has_no_warning_and_distinguishes_engines(service: InstalledService):
    since = service.lab.run("date", "+%F %T").stdout.strip()
    service.fresh()
    service.chat()
    assert service.complaints(since) == []
    engine = service.lab.journal("-t", "vllama-engine", f"--since={since}")
    assert engine
    assert {(entry["VLLAMA_MODEL"], entry["_SYSTEMD_UNIT"]) for entry in engine} == {("mini:latest", "vllama.service")}
    assert "\x1b" not in "".join(str(entry["MESSAGE"]) for entry in engine)
    shown = service.lab.run("vllama", "logs", "mini").stdout
    assert "loading" in shown.lower()


def test_an_engines_traceback_is_one_entry_of_an_error(service: InstalledService):
    service.fresh(models={"broken": service.model("broken", start_failure="no_directory")})
    assert service.chat("broken").status >= 500
    assert service.status_text().startswith("broken failed: ")
    errors = service.lab.journal("-t", "vllama-engine", "-p", "err", "-b")
    assert any("Traceback" in str(entry["MESSAGE"]) and "\n" in str(entry["MESSAGE"]) for entry in errors)


def test_no_connection_is_refused_while_it_restarts(service: InstalledService):
    service.fresh()
    with within(30, "a restart under load: no connection is refused, no request lost"), service.burst() as reported:
        service.control("restart")
        service.until_answers(10)
    answered, *failed = reported
    assert failed == []
    assert int(answered) >= 80


def test_a_reload_applies_settings_and_leaves_unchanged_engines_alone(service: InstalledService):
    models = {"mini": service.model("mini"), "other": service.model("other")}
    service.fresh(models=models)
    assert (service.chat("mini").status, service.chat("other").status) == (200, 200)
    mini, other, daemon = service.engine_pid("mini"), service.engine_pid("other"), service.pid
    models["other"] = {**models["other"], "settings": {"max_num_seqs": 7}}
    service.configure(models=models, keep_alive="9m")
    with within(10, "a reload that changes one engine's settings"):
        service.control("reload")
        assert service.chat("other").status == 200
    assert (service.pid, service.engine_pid("mini")) == (daemon, mini)
    assert service.engine_pid("other") not in {0, other}
    said = [str(entry["MESSAGE"]) for entry in service.lab.journal("-u", "vllama", "-n", "60")]
    assert any("reloaded: changed: keep_alive, models.other.settings.max_num_seqs" in message for message in said)


def test_a_running_answer_goes_on_through_a_reload_that_renews_its_engine(service: InstalledService):
    slow = service.model("slow", token_rate=20, text="word " * 60)
    service.fresh(models={"slow": slow})
    stream = service.start_chat("slow", "go on")
    assert stream.stdout is not None
    stream.stdout.readline()
    service.configure(models={"slow": {**slow, "settings": {"max_num_seqs": 7}}})
    service.control("reload")
    rest = stream.communicate()[0]
    assert '"done_reason":"stop"' in rest
    assert service.chat("slow").status == 200


def test_a_changed_port_is_served_after_a_reload(service: InstalledService):
    service.fresh()
    service.configure(server={"host": "0.0.0.0", "port": 11435})
    service.control("reload")
    assert "200" in service.lab.client(1, "curl", "-s", "-w", "%{http_code}", "http://10.77.0.1:11435/api/version")
    assert service.ask("/api/version").status == 0


def test_a_wrong_file_changes_nothing_at_a_reload(service: InstalledService):
    service.fresh()
    service.chat()
    engine, daemon = service.engine_pid(), service.pid
    service.write_config("server: {hots: 0.0.0.0}\n")
    with within(10, "a reload with a wrong file is refused, the old configuration stays"):
        service.control("reload")
        assert service.chat().status == 200
    assert (service.engine_pid(), service.pid) == (engine, daemon)
    assert "invalid" in service.status_text()
    errors = service.lab.journal("-u", "vllama", "-p", "err", "-n", "1")
    assert "server.hots" in str(errors[-1]["MESSAGE"])
    service.configure()
    service.control("reload")
    assert "invalid" not in service.status_text()


def test_a_wrong_file_fails_a_restart_once_and_for_all(service: InstalledService):
    service.fresh()
    service.write_config("server: {port: eighty}\n")
    with within(15, "a restart with a wrong file fails with status 78, without a loop"):
        service.control("restart", check=False)
        until(lambda: service.value("ActiveState") == "failed", 10)
    assert service.value("ExecMainStatus") == "78"
    assert service.value("NRestarts") == "0"


def test_a_start_waits_for_what_is_preloaded_and_its_time_out_for_a_slow_load(service: InstalledService):
    slow = service.model("slow", start_seconds=9)
    service.drop_in("start", "TimeoutStartSec=7s")
    try:
        service.control("stop")
        service.configure(models={"slow": slow}, preload=["slow"])
        with within(30, "a start that loads for 9 s survives a start time-out of 7 s, and tells how far it is"):
            service.lab.run("systemctl", "start", "--no-block", service.unit)
            service.until_status("loading slow: ", 15)
            assert service.value("ActiveState") == "activating"
            until(lambda: service.value("ActiveState") == "active", 25)
        assert service.status_text() == "serving 1 model: slow"
        service.lab.run("vllama", "stop", "slow")
        service.until_status("ready, no model loaded", 15)
    finally:
        service.drop_in("start")


def test_a_stop_lets_answers_end_and_leaves_nothing(service: InstalledService):
    deaf = service.model("deaf", ignore_sigterm=True)
    service.fresh(models={"slow": service.model("slow", token_rate=20, text="word " * 40), "deaf": deaf})
    assert service.chat("deaf").status == 200
    stream = service.start_chat("slow", "go on")
    assert stream.stdout is not None
    stream.stdout.readline()
    with within(35, "a stop lets a running answer end and ends an engine that ignores SIGTERM; then all is gone"):
        service.control("stop")
    assert '"done_reason":"stop"' in stream.communicate()[0]
    assert service.processes() == []
    assert service.value("Result") == "success"


def test_it_takes_over_from_ollama(service: InstalledService):
    service.control("stop")
    unit = "[Service]\nExecStart=/usr/bin/python3 -m http.server 11434\n"
    service.lab.write("/etc/systemd/system/ollama.service", unit)
    service.lab.run("systemctl", "daemon-reload")
    service.lab.run("systemctl", "start", "ollama")
    service.configure()
    with within(15, "it takes the port over from a running Ollama"):
        service.control("start")
        assert service.ask("/api/version").json["version"]
    assert service.lab.show("ollama.service", "ActiveState") == {"ActiveState": "inactive"}


def test_its_own_limits_hold_what_runs_in_it(service: InstalledService):
    service.fresh()
    service.chat()
    for pid in (service.pid, service.engine_pid()):
        status = dict(
            line.split(":\t", 1) for line in service.lab.run("cat", f"/proc/{pid}/status").stdout.splitlines()
        )
        assert status["CapEff"] == status["CapBnd"] == "0000000000000000"
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        mounts = [line.split() for line in service.lab.run("cat", f"/proc/{pid}/mountinfo").stdout.splitlines()]
        writable = {fields[4] for fields in mounts if "rw" in fields[5].split(",")}
        assert {"/var/lib/vllama", "/var/cache/vllama", "/run/vllama"} <= writable
        assert not {"/", "/etc", "/usr", "/home", "/var"} & writable
