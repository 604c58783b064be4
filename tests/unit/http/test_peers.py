from __future__ import annotations

import pytest

from vllama.config.schema import Server
from vllama.http.peers import is_management, read_reach


def reach(**server):
    return read_reach(Server.model_validate(server))


@pytest.mark.parametrize(
    ("address", "served"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("192.168.1.7", True),
        ("::ffff:192.168.1.7", True),
        ("fe80::1%eth0", True),
        ("fd00::7", True),
        ("8.8.8.8", False),
        ("203.0.113.9", False),
        ("100.64.0.9", False),
        ("2001:db8::1", False),
        (None, True),
    ],
)
def test_by_default_private_peers_are_served_and_public_ones_are_not(address, served):
    rules = reach()
    assert rules.serves(rules.peer(address, [])) is served


def test_loopback_any_and_further_networks_are_what_they_say():
    assert not reach(access="loopback").serves(reach().peer("192.168.1.7", []))
    assert reach(access="any").serves(reach().peer("8.8.8.8", []))
    assert reach(networks=["100.64.0.0/10"]).serves(reach().peer("100.64.0.9", []))


def test_models_are_managed_from_this_machine_unless_the_configuration_opens_it():
    rules = reach()
    assert rules.lets_manage(rules.peer("127.0.0.1", []))
    assert not rules.lets_manage(rules.peer("192.168.1.7", []))
    assert reach(management="lan").lets_manage(rules.peer("192.168.1.7", []))


def test_a_trusted_proxy_tells_who_calls():
    rules = reach(trusted_proxies=["127.0.0.1", "10.0.0.0/8"])
    assert str(rules.peer("127.0.0.1", ["8.8.8.8"]).address) == "8.8.8.8"
    assert str(rules.peer("127.0.0.1", ["1.1.1.1", "8.8.8.8", " 10.0.0.3"]).address) == "8.8.8.8"
    assert rules.peer("127.0.0.1", []).here
    assert rules.peer("127.0.0.1", ["nonsense"]).hidden


def test_behind_an_unknown_proxy_nobody_is_this_machine():
    rules = reach()
    peer = rules.peer("127.0.0.1", ["8.8.8.8"])
    assert rules.serves(peer)
    assert not peer.here
    assert not rules.lets_manage(peer)


def test_what_a_stranger_writes_into_the_header_counts_nothing():
    rules = reach()
    assert not rules.serves(rules.peer("8.8.8.8", ["127.0.0.1"]))


def test_only_what_changes_the_models_is_management():
    assert is_management("POST", "/api/pull")
    assert is_management("DELETE", "/api/delete")
    assert not is_management("POST", "/api/chat")
    assert not is_management("HEAD", "/api/blobs/{digest}")
