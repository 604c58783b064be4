from __future__ import annotations

import socket

import pytest

from vllama.errors import ConfigError
from vllama.http.access import HostCheck, read_host_check, read_origins, same_origin

DEFAULTS = read_origins(())


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost:3000",
        "http://127.0.0.1:5173",
        "http://0.0.0.0",
        "app://obsidian.md",
        "file://",
        "tauri://localhost",
        "vscode-webview://1a",
    ],
)
def test_local_pages_and_apps_may_call(origin):
    assert DEFAULTS.allow(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://localhost.evil.example",
        "http://notlocalhost:3000",
        "http://[::1]:3000",
        "moz-extension://abc",
        "null",
        "",
        "ftp://localhost",
    ],
)
def test_others_may_not(origin):
    assert not DEFAULTS.allow(origin)


def test_configured_origins_are_added_to_the_defaults():
    origins = read_origins(("http://ui.example", "http://192.168.1.*", "chrome-extension://*"))
    assert all(map(origins.allow, ("http://ui.example", "http://192.168.1.77", "chrome-extension://x")))
    assert origins.allow("http://localhost")
    assert not origins.allow("http://ui.example.evil")


def test_a_star_allows_everyone_without_naming_them():
    origins = read_origins(("*",))
    assert origins.headers("http://x.example", preflight=False) == {"Access-Control-Allow-Origin": "*"}


def test_entries_that_cannot_be_meant_are_all_reported():
    with pytest.raises(ConfigError) as caught:
        read_origins(("ui.example", "http://*.*", "*"))
    assert len(caught.value.problems) == 2


CHECK = HostCheck(frozenset({"box", "llm.office.example"}), frozenset({"203.0.113.9"}))


@pytest.mark.parametrize(
    "host",
    [
        "",
        "localhost",
        "LOCALHOST:11434",
        "127.0.0.1:1",
        "[::1]:11434",
        "::1",
        "localhost:http",
        "0.0.0.0",
        "192.168.1.5",
        "10.1.2.3:11434",
        "box",
        "box.local",
        "LLM.office.example:8443",
        "host.docker.internal:11434",
        "a.localhost",
        "203.0.113.9",
    ],
)
def test_hosts_that_mean_this_machine(host):
    assert CHECK.allow(host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.",
        "localhost.evil.example",
        "169.254.1.1",
        "8.8.8.8",
        "box.local.evil.example",
        "[::1]",
    ],
)
def test_hosts_that_do_not(host):
    assert not CHECK.allow(host)


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0", "192.168.1.5", ""])
def test_a_foreign_name_is_foreign_whatever_we_listen_on(bound):
    check = read_host_check(bound, ["llm.office.example"])
    assert not check.allow("evil.example")
    assert check.allow("llm.office.example:11434")
    assert check.allow(socket.gethostname())


def test_a_bare_options_is_answered_on_loopback_listeners_only():
    assert all(read_host_check(host).is_name("localhost") for host in ("127.0.0.1", "localhost", "::1"))
    assert not read_host_check("0.0.0.0").is_name("localhost")


def test_same_origin():
    assert same_origin("http://box:11434", "box:11434")
    assert not same_origin("http://box", "box:11434")
