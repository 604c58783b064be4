"""OLLAMA_HOST in all its forms (contract 9)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.config.address import Address, read_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", Address()),
        ("  'box'  ", Address(host="box")),
        ("192.168.1.5:11500", Address(host="192.168.1.5", port=11500)),
        (":8080", Address(port=8080)),
        ("0.0.0.0", Address(host="0.0.0.0")),
        ("[::1]:8080", Address(host="::1", port=8080)),
        ("[::1]", Address(host="::1")),
        ("::1", Address(host="::1")),
        ("http://box", Address(host="box", port=80)),
        ("https://box", Address("https", "box", 443)),
        ("https://box:8443/ollama/", Address("https", "box", 8443, "/ollama")),
        ("http://[fe80::2]:99/x", Address(host="fe80::2", port=99, path="/x")),
        ("box:http", Address(host="box")),
        ("box:66000", Address(host="box")),
        ("http://box:no", Address(host="box", port=80)),
        ("box/base", Address(host="box", path="/base")),
    ],
)
def test_every_form_of_ollama_host_is_understood(text: str, address: Address) -> None:
    assert read_address(text) == address


def test_a_service_on_all_interfaces_is_reached_over_loopback() -> None:
    assert read_address("0.0.0.0:99").reachable == Address(port=99)
    assert read_address("[::]:99").reachable == Address(host="::1", port=99)
    assert read_address("box").reachable == Address(host="box")


def test_the_url_brackets_ipv6() -> None:
    assert read_address("[::1]:8080").url == "http://[::1]:8080"


@given(st.text())
def test_any_text_gives_an_address(text: str) -> None:
    address = read_address(text)
    assert 0 <= address.port <= 65535
    assert address.host
