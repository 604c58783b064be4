from __future__ import annotations

import os
import socket

import pytest

from vllama.service.notify import Notifier


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

        reported: list[Notifier] = []

        def notifier() -> Notifier:
            reported.append(Notifier({"NOTIFY_SOCKET": path}))
            return reported[-1]

        yield notifier, read
        for one in reported:
            one.close()
