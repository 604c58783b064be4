from __future__ import annotations

import pytest

from vllama.config.schema import Server
from vllama.http.forwarding import DIRECT, Trail, read_address
from vllama.http.peers import is_management, read_reach


def reach(**server):
    return read_reach(Server.model_validate(server))


def through(*texts):
    return Trail(tuple(map(read_address, texts)), proxied=True)


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
    assert rules.serves(rules.peer(address, DIRECT)) is served


def test_loopback_any_and_further_networks_are_what_they_say():
    assert not reach(access="loopback").serves(reach().peer("192.168.1.7", DIRECT))
    assert reach(access="any").serves(reach().peer("8.8.8.8", DIRECT))
    assert reach(networks=["100.64.0.0/10"]).serves(reach().peer("100.64.0.9", DIRECT))


def test_models_are_managed_from_this_machine_unless_the_configuration_opens_it():
    rules = reach()
    assert rules.lets_manage(rules.peer("127.0.0.1", DIRECT), None)
    assert not rules.lets_manage(rules.peer("192.168.1.7", DIRECT), None)
    assert reach(management="lan").lets_manage(rules.peer("192.168.1.7", DIRECT), None)


def test_a_trusted_proxy_names_the_client():
    rules = reach(trusted_proxies=["127.0.0.1", "10.0.0.0/8"])
    assert str(rules.peer("127.0.0.1", through("8.8.8.8")).address) == "8.8.8.8"
    assert str(rules.peer("127.0.0.1", through("1.1.1.1", "8.8.8.8", " 10.0.0.3")).address) == "8.8.8.8"
    assert rules.peer("127.0.0.1", DIRECT).here
    assert rules.peer("127.0.0.1", through("nonsense")).unknown


def test_behind_an_unknown_proxy_nobody_is_this_machine():
    rules = reach()
    peer = rules.peer("127.0.0.1", through("8.8.8.8"))
    assert rules.serves(peer)
    assert not peer.here
    assert not rules.lets_manage(peer, None)


def test_what_a_stranger_writes_into_the_header_counts_nothing():
    rules = reach()
    assert not rules.serves(rules.peer("8.8.8.8", through("127.0.0.1")))


def test_only_what_changes_the_models_is_management():
    assert is_management("POST", "/api/pull")
    assert is_management("DELETE", "/api/delete")
    assert not is_management("POST", "/api/chat")
    assert not is_management("HEAD", "/api/blobs/{digest}")


@pytest.mark.parametrize("access", ["loopback", "lan"])
@pytest.mark.parametrize("trail", [through("nonsense"), through("8.8.8.8", "unknown"), Trail(proxied=True)])
def test_clients_of_a_trusted_proxy_that_does_not_name_them_are_strangers(access, trail):
    rules = reach(trusted_proxies=["127.0.0.1"], access=access, management="lan")
    peer = rules.peer("127.0.0.1", trail)
    assert not rules.serves(peer)
    assert not peer.here
    assert not rules.lets_manage(peer, None)


@pytest.mark.parametrize("remote", ["127.0.0.1", "192.168.1.2"])
@pytest.mark.parametrize("reported", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "[::1]:7", "127.9.9.9:80"])
@pytest.mark.parametrize("proxies", [["127.0.0.1", "192.168.1.2"], ["127.0.0.0/8", "::1", "192.168.1.2"]])
def test_a_forwarded_loopback_address_is_never_this_machine(remote, reported, proxies):
    rules = reach(trusted_proxies=proxies, management="lan", keys="required")
    peer = rules.peer(remote, through(reported))
    assert not peer.here
    assert not rules.lets_manage(peer, None)
    assert not rules.lets_in(peer, None)


@pytest.mark.parametrize("remote", ["127.0.0.1", "192.168.1.2", None])
@pytest.mark.parametrize("trail", [through("192.168.1.9"), Trail(proxied=True)])
def test_behind_a_proxy_that_is_not_listed_nobody_manages_whatever_the_network_may(remote, trail):
    rules = reach(management="lan")
    peer = rules.peer(remote, trail)
    assert rules.serves(peer)
    assert not rules.lets_manage(peer, None)


def test_only_programs_on_this_machine_are_served_where_only_they_should_be():
    rules = reach(access="loopback")
    assert rules.serves(rules.peer("127.0.0.1", DIRECT))
    assert not rules.serves(rules.peer("127.0.0.1", through("8.8.8.8")))


@pytest.mark.parametrize("remote", ["127.0.0.1", "::1", None, "192.168.1.7"])
def test_everyone_is_everyone(remote):
    rules = reach(keys="everyone", management="any", access="any")
    peer = rules.peer(remote, DIRECT)
    assert not rules.lets_in(peer, None)
    assert not rules.lets_manage(peer, None)
    assert not rules.lets_manage(peer, "use")
    assert rules.lets_manage(peer, "manage")
