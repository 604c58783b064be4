"""The small verbs: what they ask and what they print."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.component.cli.conftest import Vllama
from tests.component.cli.terminal import Terminal
from tests.fakes.service import SHOW, Service
from tests.unit.models.model_files import make_model

DIGEST = "6c1f0e5ad3b84c7f9b20d9c1e47a8d30f5b6e2a19c84d7730be1f25a49c8e6d1"


def ago(**parts: int) -> str:
    return (datetime.now(UTC) - timedelta(**parts)).isoformat().replace("+00:00", "Z")


def tags() -> dict[str, object]:
    return {
        "models": [
            {"name": "mini:latest", "digest": DIGEST, "size": 3_720_000, "modified_at": ago(minutes=2, seconds=5)},
            {"name": "thinker:8b", "digest": DIGEST[::-1], "size": 16_400_000_000, "modified_at": ago(days=15)},
        ]
    }


def test_list_has_ollamas_columns(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/tags"] = (200, tags())
    done = vllama("list")
    assert done.stdout.splitlines() == [
        "NAME           ID              SIZE      MODIFIED",
        "mini:latest    6c1f0e5ad3b8    3.7 MB    2 minutes ago",
        "thinker:8b     1d6e8c94a52f    16 GB     2 weeks ago",
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_ls_lists_models_by_the_beginning_of_their_name(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/tags"] = (200, tags())
    assert [line.split()[0] for line in vllama("ls", "THINK").stdout.splitlines()] == ["NAME", "thinker:8b"]


def test_list_gives_json_to_programs(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/tags"] = (200, tags())
    assert json.loads(vllama("list", "--json").stdout) == service.fixed["/api/tags"][1]


def test_ps_reports_where_and_how_long(vllama: Vllama, service: Service) -> None:
    later = (datetime.now(UTC) + timedelta(minutes=4, seconds=30)).isoformat()
    models = [
        {"name": "mini:latest", "size": 5_137_025_024, "size_vram": 5_137_025_024, "expires_at": later},
        {"name": "kept:latest", "size": 900_000_000, "size_vram": 0, "expires_at": "2318-11-04T12:09:03.183+02:00"},
        {"name": "old:latest", "size": 400, "size_vram": 100, "expires_at": ago(seconds=1)},
    ]
    service.fixed["/api/ps"] = (200, {"models": [{**m, "digest": DIGEST, "context_length": 8192} for m in models]})
    assert vllama("ps").stdout.splitlines() == [
        "NAME           ID              SIZE      PROCESSOR          CONTEXT    UNTIL",
        "mini:latest    6c1f0e5ad3b8    5.1 GB    100% GPU           8192       4 minutes from now",
        "kept:latest    6c1f0e5ad3b8    900 MB    100% CPU           8192       Forever",
        "old:latest     6c1f0e5ad3b8    400 B     75%/25% CPU/GPU    8192       Stopping...",
    ]


def test_ps_without_models_prints_only_the_headers(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": []})
    assert vllama("ps").stdout.split() == ["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]


def test_ps_reports_how_far_a_compilation_is_also_of_a_model_that_was_unloaded_meanwhile(
    vllama: Vllama, service: Service
) -> None:
    model = {"name": "mini:latest", "size": 1, "size_vram": 0, "expires_at": "2999-01-01T00:00:00Z", "digest": DIGEST}
    service.fixed["/api/ps"] = (200, {"models": [{**model, "context_length": 8192}]})
    rest = {"digest": DIGEST, "since": 0.0, "leases": 0, "restarts": 0, "waiting": 0}
    eager = {"name": "mini:latest", "phase": "ready", "compiling": "eager; it is compiled when the machine is idle"}
    gone = {"name": "gone:latest", "phase": "absent", "compiling": "eager; compiling now (loading weights)"}
    service.fixed["/vllama/engines"] = (200, {"engines": [{**eager, **rest}, {**gone, **rest}]})
    _, row, *notes = vllama("ps").stdout.splitlines()
    assert row.startswith("mini:latest ")
    assert notes == [f"{engine['name']}: {engine['compiling']}" for engine in (eager, gone)]


def test_ps_reports_how_far_a_load_is_and_why_one_failed(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": []})
    on_its_way = {"name": "mini:latest", "phase": "starting", "stage": "loading weights 62 %", "waiting": 3}
    waiting = {"name": "next:latest", "phase": "absent", "stage": "waiting for room", "cause": "too big", "waiting": 1}
    failed = {"name": "bad:latest", "phase": "broken", "cause": "the weights are damaged", "waiting": 0}
    rest = {"digest": DIGEST, "since": 0.0, "leases": 0, "restarts": 0}
    engines = [{**on_its_way, "size": 2_100_000_000, **rest}, {**waiting, **rest}, {**failed, **rest}]
    service.fixed["/vllama/engines"] = (200, {"engines": engines})
    assert vllama("ps").stdout.splitlines() == [
        "NAME           ID              SIZE      PROCESSOR    CONTEXT    UNTIL",
        "mini:latest    6c1f0e5ad3b8    2.1 GB    100% CPU     -          loading weights 62 % (3 waiting)",
        "next:latest    6c1f0e5ad3b8    -         -            -          waiting for room (1 waiting)",
        "bad:latest     6c1f0e5ad3b8    -         -            -          the weights are damaged",
    ]
    assert json.loads(vllama("ps", "--json").stdout) == {"models": [], "engines": engines}


def test_show_prints_ollamas_sections(vllama: Vllama) -> None:
    assert vllama("show", "mini").stdout.splitlines() == [
        "  Model",
        "    architecture        qwen3",
        "    parameters          1.7B",
        "    context length      40960",
        "    embedding length    2048",
        "    quantization        BF16",
        "",
        "  Capabilities",
        "    completion",
        "    tools",
        "    thinking",
        "",
        "  Parameters",
        "    temperature    0.6",
        '    stop           "<|end|>"',
        "",
        "  System",
        "    Answer briefly.",
        "",
        "  License",
        "    Apache License",
        "    Version 2.0, January 2004",
        "    ...",
        "",
    ]


def test_show_prints_one_part_alone(vllama: Vllama) -> None:
    assert vllama("show", "mini", "--modelfile").stdout == SHOW["modelfile"]
    assert vllama("show", "mini", "--system").stdout == "Answer briefly.\n"
    assert vllama("show", "mini", "--template").stdout == SHOW["template"] + "\n"
    assert vllama("show", "mini", "--license").stdout == SHOW["license"] + "\n"
    assert vllama("show", "mini", "--parameters").stdout == SHOW["parameters"] + "\n"


def test_show_verbose_asks_for_all_and_prints_the_metadata(vllama: Vllama, service: Service) -> None:
    shown = vllama("show", "-v", "mini").stdout
    assert service.bodies("/api/show") == [{"model": "mini", "verbose": True}]
    assert "  Metadata\n    general.architecture       qwen3\n" in shown


def test_stop_unloads_the_model(vllama: Vllama, service: Service) -> None:
    assert vllama("stop", "mini").returncode == 0
    assert service.bodies("/api/generate") == [{"model": "mini", "keep_alive": 0}]


def test_stop_reports_an_unknown_model(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/generate"] = (404, {"error": "model 'mini' not found"})
    done = vllama("stop", "mini")
    assert done.returncode == 1
    assert 'couldn\'t find model "mini" to stop' in done.stderr


def test_version_reports_both_sides(vllama: Vllama) -> None:
    done = vllama("version")
    assert done.stdout.startswith("vllama version is ")
    assert "0.33.0" in done.stdout
    assert json.loads(vllama("version", "--json").stdout)["service"] == "0.33.0"


def test_version_warns_when_no_service_runs(vllama: Vllama) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        done = vllama("version", VLLAMA_HOST=f"127.0.0.1:{taken.getsockname()[1]}")
    assert done.returncode == 0
    assert done.stdout.startswith("vllama version is ")
    assert "could not connect to a running vllama service" in done.stderr


def test_a_service_that_does_not_run_is_reported_with_what_to_do(vllama: Vllama) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{taken.getsockname()[1]}"
        done = vllama("ps", VLLAMA_HOST=here, VLLAMA_CHECKOUT="")
        in_a_checkout = vllama("ps", VLLAMA_HOST=here)
    assert done.returncode == 1
    assert "could not connect to vllama at http://127.0.0.1:" in done.stderr
    assert "systemctl start vllama" in done.stderr
    assert "OLLAMA_HOST=127.0.0.1:PORT" in done.stderr
    assert done.stdout == ""
    assert "make run" in in_a_checkout.stderr


def test_the_host_flag_wins_over_the_environment(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": []})
    assert vllama("ps", "--host", f"http://{service.host}", VLLAMA_HOST="nowhere.invalid").returncode == 0


def test_ollamas_variable_names_the_service_too(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": []})
    assert vllama("ps", VLLAMA_HOST="", OLLAMA_HOST=service.host).returncode == 0


def test_the_services_own_words_are_the_error(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/show"] = (404, {"error": "model 'foo:latest' not found"})
    done = vllama("show", "foo")
    hint = "vllama pull foo   (or see: vllama list)"
    assert (done.returncode, done.stderr) == (1, f"Error: model 'foo:latest' not found\n{hint}\n")


def test_another_kind_of_service_is_recognised(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/ps"] = (200, b"<html>hello</html>")
    done = vllama("ps")
    assert done.returncode == 1
    assert "unexpected answer" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("status", "page"), [(404, b"<!DOCTYPE HTML><h1>Error</h1>"), (501, b""), (403, b"{}")])
def test_another_kind_of_servers_error_is_not_repeated(
    vllama: Vllama, service: Service, status: int, page: bytes
) -> None:
    service.fixed["/api/ps"] = (status, page)
    done = vllama("ps")
    assert done.returncode == 1
    assert "is neither vLLama nor Ollama" in done.stderr
    assert f"it answered {status}\nIs another service listening there?" in done.stderr
    assert "<" not in done.stderr


def test_an_address_with_a_path_that_leads_nowhere_is_pointed_to_the_server(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/api/ps"] = (404, b"404 page not found")
    url = f"http://{service.host}"
    done = vllama("ps", "--host", f"{url}/api")
    assert done.stderr == f"Error: {url}/api has no Ollama API (404)\nTry {url}\n"


def test_https_to_a_server_of_http_is_called_so(vllama: Vllama, service: Service) -> None:
    done = vllama("ps", "--host", f"https://{service.host}")
    assert done.stderr == f"Error: https://{service.host} does not speak https\nTry http://{service.host}\n"


def test_what_does_not_speak_http_is_called_so(vllama: Vllama) -> None:
    def greet(server: socket.socket) -> None:
        with server.accept()[0] as client:
            client.sendall(b"SSH-2.0-x\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        greeting = threading.Thread(target=greet, args=(server,))
        greeting.start()
        done = vllama("ps", "--host", f"127.0.0.1:{server.getsockname()[1]}")
        greeting.join()
    assert "does not speak HTTP" in done.stderr


def test_a_port_alone_needs_its_colon(vllama: Vllama) -> None:
    done = vllama("ps", "--host", "11600")
    assert done.stderr == "Error: --host is not an address: '11600' is only a number\nDid you mean :11600?\n"


def test_a_verb_that_is_misspelt_is_answered_with_the_right_one(vllama: Vllama) -> None:
    done = vllama("lits")
    assert done.returncode == 2
    assert "No such command 'lits'. Did you mean 'list'?" in done.stderr


def test_a_full_disk_is_no_bug(environment: dict[str, str], service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": []})
    argv = [sys.executable, "-m", "vllama", "ps"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: can't write: No space left on device\n")


def test_a_bug_is_reported_in_one_line(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/ps"] = (200, {"models": [{"name": "mini"}]})
    done = vllama("ps")
    assert done.returncode == 70
    assert done.stderr.startswith("Error: unexpected KeyError: 'expires_at' (ps.py:")
    assert "Traceback" not in done.stderr


def test_a_reader_that_leaves_early_is_no_error(environment: dict[str, str], service: Service) -> None:
    service.fixed["/api/tags"] = (200, tags())
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "vllama", "list"],
        stdout=writer,
        stderr=subprocess.PIPE,
        env=environment,
        timeout=30,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_nothing_is_coloured_in_a_pipe(vllama: Vllama) -> None:
    assert "\x1b" not in vllama("show", "mini").stdout


def test_no_color_is_honoured_on_a_terminal(terminal: object) -> None:
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        screen = terminal("show", "mini", **more)  # type: ignore[operator]
        assert screen.leave() == 0
        assert ("\x1b[" in screen.raw) is coloured


def test_rm_deletes_each_model(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/delete"] = (200, b"")
    done = vllama("rm", "mini", "thinker:8b")
    assert (done.returncode, done.stdout) == (0, "deleted 'mini'\ndeleted 'thinker:8b'\n")
    assert [(method, path) for method, path, _ in service.asked] == [("DELETE", "/api/delete")] * 2
    assert service.bodies("/api/delete") == [{"model": "mini"}, {"model": "thinker:8b"}]


def test_cp_names_both(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/copy"] = (200, b"")
    done = vllama("cp", "mini", "mine")
    assert (done.returncode, done.stdout) == (0, "copied 'mini' to 'mine'\n")
    assert service.bodies("/api/copy") == [{"source": "mini", "destination": "mine"}]


@pytest.mark.parametrize(
    ("verb", "path", "said"),
    [(["rm", "x"], "/api/delete", "model 'x' not found"), (["cp", "x", "y"], "/api/copy", 'model "x" not found')],
)
def test_rm_and_cp_of_nothing_point_to_the_list(
    vllama: Vllama, service: Service, verb: list[str], path: str, said: str
) -> None:
    service.fixed[path] = (404, {"error": said})
    done = vllama(*verb)
    assert done.returncode == 1
    assert said in done.stderr
    assert "vllama list" in done.stderr


def test_create_names_the_parameters_that_have_no_effect(vllama: Vllama, service: Service, tmp_path: Path) -> None:
    text = "FROM mini\nPARAMETER num_ctx 32768\nPARAMETER mirostat 2\nPARAMETER seed 1\n"
    (tmp_path / "Modelfile").write_text(text)
    service.fixed["/api/create"] = (200, [{"status": "success"}])
    done = vllama("create", "mine", "-f", str(tmp_path / "Modelfile"))
    warnings = [line for line in done.stderr.splitlines() if line.startswith("Warning: ")]
    assert [line.split()[2] for line in warnings] == ["num_ctx", "mirostat"]
    assert service.bodies("/api/create")[0]["parameters"] == {"num_ctx": 32768, "seed": 1}


def test_create_uploads_what_the_modelfile_names_and_the_service_lacks(
    vllama: Vllama, service: Service, tmp_path: Path
) -> None:
    place = make_model(tmp_path / "weights", README__md=b"not needed")
    (tmp_path / "Modelfile").write_text('FROM ./weights\nSYSTEM Be kind.\nPARAMETER stop "a"\n')
    known = f"sha256:{hashlib.sha256((place / 'config.json').read_bytes()).hexdigest()}"
    service.blobs.add(known)
    service.fixed["/api/create"] = (200, [{"status": "writing manifest"}, {"status": "success"}])
    done = vllama("create", "mine", "-f", str(tmp_path / "Modelfile"))
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.endswith("writing manifest\ncreated 'mine'\n")
    (body,) = service.bodies("/api/create")
    assert (body["model"], body["system"], body["parameters"]) == ("mine", "Be kind.", {"stop": ["a"]})
    assert sorted(body["files"]) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert service.blobs == set(body["files"].values())
    assert service.uploads == 2


@pytest.mark.parametrize(
    ("modelfile", "said"),
    [
        ("SYSTEM x", "no FROM line"),
        ("FROM x\nFLAVOUR sweet", "command must be one of"),
        ("FROM ./nowhere", "there is no directory ./nowhere"),
        ("FROM ./q4.gguf", "GGUF needs a plugin"),
        ("FROM ./empty", "no safetensors weights"),
        ("FROM ./lora", "is a LoRA adapter, not a model"),
        ("FROM ./mistral", "is in Mistral's own format only"),
        ("FROM ./clone", "is a git-LFS pointer"),
        ("FROM ./elsewhere", "not a weights file of the same directory"),
        ("FROM x\nADAPTER ./nowhere", "there is no directory ./nowhere"),
        ("FROM x\nADAPTER ./empty", "adapter_config.json"),
    ],
)
def test_create_says_what_is_wrong_with_a_modelfile(
    vllama: Vllama, service: Service, tmp_path: Path, modelfile: str, said: str
) -> None:
    (tmp_path / "Modelfile").write_text(modelfile)
    (tmp_path / "q4.gguf").touch()
    (tmp_path / "empty").mkdir()
    nothing: dict[str, object] = {"config__json": None, "model__safetensors": None, "tokenizer__json": None}
    make_model(tmp_path / "lora", **nothing, adapter_config__json={}, adapter_model__safetensors=b"x")
    make_model(tmp_path / "mistral", **nothing, params__json={}, consolidated__safetensors=b"x", tekken__json={})
    make_model(tmp_path / "clone", model__safetensors=b"version https://git-lfs.github.com/spec/v1")
    index = {"weight_map": {"w": "/etc/hostname"}}
    make_model(tmp_path / "elsewhere", **{"model.safetensors.index.json": index})
    done = vllama("create", "mine", "-f", str(tmp_path / "Modelfile"))
    assert done.returncode == 1
    assert said in done.stderr
    assert service.bodies("/api/create") == []


def test_push_passes_the_refusal_on(vllama: Vllama, service: Service) -> None:
    service.fixed["/api/push"] = (
        200,
        [{"status": "retrieving manifest"}, {"error": "this server pushes to no registry"}],
    )
    done = vllama("push", "mine")
    assert done.returncode == 1
    assert done.stderr == "retrieving manifest\nError: this server pushes to no registry\n"


def test_only_a_service_of_this_machine_is_started_with_systemctl(vllama: Vllama) -> None:
    done = vllama("ps", "--host", "gpu.invalid:1")
    assert done.returncode == 1
    assert done.stderr.startswith("Error: could not connect to vllama at http://gpu.invalid:1 ")
    assert "systemctl" not in done.stderr
    assert "systemctl start vllama" in vllama("ps", "--host", "127.0.0.1:1", VLLAMA_CHECKOUT="").stderr


def test_an_address_that_is_none_is_refused(vllama: Vllama) -> None:
    done = vllama("ps", VLLAMA_HOST="1.2.3.4.5:x")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: VLLAMA_HOST is not an address: '1.2.3.4.5' is neither an address nor a host name",
        "Forms: host, host:port, :port, [v6]:port, http://host:port/path",
    ]
    assert vllama("ps", "--host", "box:x").stderr.startswith("Error: --host is not an address: 'x' is not a port\n")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """A folder with a journalctl that shows what ``entries`` beside it holds, and then how it was asked."""
    command = tmp_path / "journalctl"
    command.write_text(f'#!/bin/sh\ncat {tmp_path}/entries\ncase "$*" in *--quiet*) ;; *) echo "$*" ;; esac\n')
    command.chmod(0o755)
    (tmp_path / "entries").touch()
    return tmp_path


def test_logs_say_where_the_output_is_when_the_journal_has_none(vllama: Vllama, journal: Path) -> None:
    path = f"{journal}:{os.environ['PATH']}"
    done = vllama("logs", PATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the terminal of 'make run'" in done.stderr
    following = vllama("logs", "--follow", PATH=path)
    assert following.stdout == "--lines=100 _SYSTEMD_UNIT=vllama.service --follow\n"
    assert "the terminal of 'make run'" in following.stderr


def test_logs_are_the_journals(vllama: Vllama, journal: Path) -> None:
    (journal / "entries").write_text("it runs\n")
    done = vllama("logs", "mini", "-n", "3", PATH=f"{journal}:{os.environ['PATH']}")
    assert done.stdout == "it runs\n--lines=3 _SYSTEMD_UNIT=vllama.service VLLAMA_MODEL=mini:latest\n"
    assert done.stderr == ""


def test_ctrl_c_ends_serving_with_a_word_and_status_0(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    places = {f"VLLAMA_{name}_DIR": str(tmp_path / name.lower()) for name in ("STATE", "CACHE", "RUNTIME")}
    config = tmp_path / "vllama.yaml"
    config.touch()
    place = {**places, "VLLAMA_ENGINE_PREFIX": str(tmp_path / "engine"), "VLLAMA_HOST": "127.0.0.1:0"}
    screen = terminal("serve", "--config", str(config), **place)
    screen.see("Models are loaded when a client requests them.")
    screen.interrupt()
    screen.see("vLLama has stopped")
    assert screen.leave() == 0


def test_bench_refuses_an_address_that_is_none_like_every_verb(vllama: Vllama) -> None:
    assert vllama("bench", "--host", "box:x").stderr.startswith("Error: --host is not an address: 'x' is not a port\n")
