from __future__ import annotations

import os
import socket

import pytest

from tests.unit.supervisor.worlds import model
from vllama.service.notify import Notifier, passed_sockets, status_line
from vllama.supervisor.port import EngineView


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    """NOTIFY_SOCKET's other end; ``read()`` gives the next message and how many descriptors came with it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        path = str(tmp_path / "notify")
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        listening.bind(path)
        listening.settimeout(5)

        def read() -> tuple[str, int]:
            data, descriptors, _, _ = socket.recv_fds(listening, 4096, 8)
            for descriptor in descriptors:
                os.close(descriptor)
            return data.decode(), len(descriptors)

        told: list[Notifier] = []

        def notifier() -> Notifier:
            told.append(Notifier({"NOTIFY_SOCKET": path}))
            return told[-1]

        yield notifier, read
        for one in told:
            one.close()


def test_without_systemd_nothing_is_sent_and_nothing_breaks():
    notifier = Notifier({})
    notifier.ready()
    notifier.stopping(1.0)
    assert not notifier.supervised
    assert notifier.beat_every is None


def test_a_status_is_told_once_and_in_any_language(systemd):
    notifier, read = systemd
    told = notifier()
    told.notice("config", "modèle 模型")
    told.notice("config", "modèle 模型")
    told.notice("config", "")
    assert read()[0] == "STATUS=modèle 模型"
    assert read()[0] == "STATUS=ready, no model loaded"


def test_the_status_tells_of_each_model_that_is_being_loaded():
    nothing = {"since": 0, "expires_at": None, "leases": 0, "waiting": 0, "size": 0, "size_vram": 0, "kv_tokens": 0}
    nothing |= {"context_length": 0, "pid": None, "restarts": 0, "cause": ""}
    views = [EngineView(model(name), "starting", f"at {name}", **nothing) for name in ("mini", "other")]
    assert status_line(views) == "loading mini: at mini; loading other: at other"


def test_a_reload_says_when_it_began(systemd):
    notifier, read = systemd
    notifier().reloading()
    first, second = read()[0].splitlines()
    assert first == "RELOADING=1"
    assert second.startswith("MONOTONIC_USEC=")


def test_the_listening_sockets_travel_into_the_store(systemd):
    notifier, read = systemd
    with socket.create_server(("127.0.0.1", 0)) as listener:
        notifier().store([listener])
    assert read() == ("FDSTOREREMOVE=1\nFDNAME=http", 0)
    assert read() == ("FDSTORE=1\nFDNAME=http", 1)


def test_the_beat_comes_three_times_in_a_period():
    assert Notifier({"WATCHDOG_USEC": "30000000"}).beat_every == 10
    assert Notifier({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).beat_every is None


def test_sockets_for_another_process_are_not_ours():
    assert passed_sockets({"LISTEN_PID": "1", "LISTEN_FDS": "1"}) == []
    assert passed_sockets({}) == []


def test_an_endless_time_extends_nothing(systemd):
    notifier, read = systemd
    told = notifier()
    told.extend(float("inf"))
    told.extend(2.5)
    assert read()[0] == "EXTEND_TIMEOUT_USEC=2500000"
