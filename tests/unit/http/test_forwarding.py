"""Headers of proxies: what can be read is read, what can't is nobody."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.http.forwarding import DIRECT, read_address, read_trail


def trail(**headers: str | list[str]):
    values = {name.replace("_", "-"): [value] if isinstance(value, str) else value for name, value in headers.items()}
    return read_trail(lambda name: values.get(name, []))


def texts(found) -> list[str | None]:
    return [None if address is None else str(address) for address in found.addresses]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7 ", "192.0.2.7"),
        ("192.0.2.7:51234", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]:_hidden", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:127.0.0.1]:1", "127.0.0.1"),
        ("", None),
        ("unknown", None),
        ("_hidden", None),
        ("0.0.0.0", None),
        ("::", None),
        ("localhost", None),
        ("127.1", None),
        ("2130706433", None),
        ("0x7f.0.0.1", None),
        ("192.0.2.7:1:2", None),
        ("[192.0.2.7", None),
        ("[[::1]]", None),
        ("1" * 1_000_000, None),
    ],
)
def test_addresses_as_proxies_write_them(text, address):
    found = read_address(text)
    assert (None if found is None else str(found)) == address


def test_lines_of_one_header_follow_each_other():
    assert texts(trail(X_Forwarded_For=["1.1.1.1, 2.2.2.2", "3.3.3.3"])) == ["1.1.1.1", "2.2.2.2", "3.3.3.3"]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("for=192.0.2.60;proto=http;by=203.0.113.43", ["192.0.2.60"]),
        ('For="[2001:db8:cafe::17]:4711"', ["2001:db8:cafe::17"]),
        ('for=192.0.2.43, for="198.51.100.17:80";proto=https', ["192.0.2.43", "198.51.100.17"]),
        (r'for="19\2.0.2.1"', ["192.0.2.1"]),
        ("for=unknown, for=_x", [None, None]),
        ("proto=https", [None]),
        ('for="192.0.2.1', [None]),
        ("for=192.0.2.1,", ["192.0.2.1", None]),
        ("for=192.0.2.1;", [None]),
        ("nonsense", [None]),
        ('host="a,b;for=127.0.0.1";for=8.8.8.8', ["8.8.8.8"]),
        ("for=8.8.8.8;for=127.0.0.1", ["8.8.8.8"]),
    ],
)
def test_the_standard_header(value, found):
    assert texts(trail(Forwarded=value)) == found


def test_two_headers_that_disagree_are_both_not_believed():
    assert texts(trail(X_Forwarded_For="10.0.0.5", Forwarded="for=8.8.8.8")) == [None]
    assert texts(trail(X_Forwarded_For="8.8.8.8", Forwarded="for=8.8.8.8")) == ["8.8.8.8"]


def test_the_real_ip_counts_where_nothing_else_is_said():
    assert texts(trail(X_Real_IP="8.8.8.8")) == ["8.8.8.8"]
    assert texts(trail(X_Real_IP=["10.0.0.1", "8.8.8.8"])) == [None]
    assert texts(trail(X_Real_IP="10.0.0.1", X_Forwarded_For="8.8.8.8")) == ["8.8.8.8"]


@pytest.mark.parametrize(
    "name",
    [
        "Via",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "CF-Connecting-IP",
        "X-Forwarded-Scheme",
        "X-Forwarded-Ssl",
        "Fastly-Client-IP",
        "X-Envoy-External-Address",
        "X-Original-Forwarded-For",
        "CDN-Loop",
    ],
)
def test_a_header_that_only_proxies_write_betrays_one(name):
    found = trail(**{name.replace("-", "_"): "1.1 squid"})
    assert found.proxied
    assert not found.addresses


def test_nothing_said_is_nothing_said():
    assert trail() == DIRECT


@given(st.text(st.sampled_from('for=;,"\\ 127.0:[]abx'), max_size=60), st.text(max_size=60))
def test_any_text_is_read_and_whatever_is_read_is_an_address(forwarded, listed):
    found = trail(Forwarded=forwarded, X_Forwarded_For=listed)
    assert found.proxied or not listed
    assert all(isinstance(a, ipaddress.IPv4Address | ipaddress.IPv6Address | None) for a in found.addresses)
