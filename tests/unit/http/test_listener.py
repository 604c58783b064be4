from __future__ import annotations

import socket

import pytest

from vllama.errors import CannotListen
from vllama.http.listener import bind


@pytest.fixture
def open_sockets():
    opened: list[socket.socket] = []
    yield opened
    for one in opened:
        one.close()


def listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_a_socket_kept_from_before_is_used_again(open_sockets):
    open_sockets += bind("127.0.0.1", 0)
    port = open_sockets[0].getsockname()[1]
    assert bind("127.0.0.1", port, open_sockets) == open_sockets


def test_a_kept_socket_that_does_not_fit_gives_its_port_free_whoever_else_holds_it(open_sockets):
    kept = bind("127.0.0.1", 0)
    port = kept[0].getsockname()[1]
    open_sockets.append(kept[0].dup())  # systemd's copy
    open_sockets += bind("0.0.0.0", port, kept)
    assert open_sockets[-1].getsockname() == ("0.0.0.0", port)
    assert listens(port)


def test_a_new_address_that_is_taken_leaves_the_old_one_listening(open_sockets):
    kept = bind("127.0.0.1", 0)
    taken = bind("127.0.0.1", 0)
    open_sockets += kept + taken
    with pytest.raises(CannotListen, match="is in use"):
        bind("127.0.0.1", taken[0].getsockname()[1], kept)
    assert listens(kept[0].getsockname()[1])


def test_no_host_means_every_interface_of_both_kinds(open_sockets):
    open_sockets += bind("127.0.0.1", 0)  # finds a free port
    port = open_sockets[0].getsockname()[1]
    found = bind("", port, open_sockets)
    open_sockets += found
    names = {one.family: one.getsockname()[0] for one in found}
    assert names[socket.AF_INET] == "0.0.0.0"
    assert names.get(socket.AF_INET6, "::") == "::"
    assert listens(port)
