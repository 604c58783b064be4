"""OLLAMA_HOST in all its forms."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.config.address import Address, check_address, read_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", Address()),
        ("  'box'  ", Address(host="box")),
        ("192.168.1.5:11500", Address(host="192.168.1.5", port=11500)),
        (":8080", Address(host="", port=8080)),  # every interface
        (":", Address(host="")),
        ("http://:8080", Address(host="", port=8080)),
        ("https://:", Address("https", "", 443)),
        (":8080/ollama/", Address(host="", port=8080, path="/ollama")),
        (":no", Address(host="")),
        ("[]:8080", Address(host="", port=8080)),
        ("http://", Address(port=80)),
        ("/base", Address(path="/base")),
        ("[::]:8080", Address(host="::", port=8080)),
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
    assert read_address("[0::0]:99").reachable == Address(host="::1", port=99)
    assert read_address(":99").reachable == Address(port=99)
    assert read_address("https://:99/x").reachable.url == "https://127.0.0.1:99/x"
    assert read_address("box").reachable == Address(host="box")


def test_the_url_brackets_ipv6() -> None:
    assert read_address("[::1]:8080").url == "http://[::1]:8080"


@given(st.text())
def test_any_text_gives_an_address(text: str) -> None:
    address = read_address(text)
    assert 0 <= address.port <= 65535
    assert address.reachable.host


@pytest.mark.parametrize("text", ["", ":80", "box", "box:80", "[::1]:80", "::1", "http://box/path", "https://1.2.3.4"])
def test_whole_addresses_pass_the_strict_reading(text: str):
    check_address(text)


@pytest.mark.parametrize("text", ["1.2.3.4.5:x", "box:x", "box:65536", "box:-1", "gopher://box", "a b", "[::1]:http"])
def test_the_strict_reading_makes_nothing_up(text: str):
    with pytest.raises(ValueError, match=r"is not a port|is neither"):
        check_address(text)


@pytest.mark.parametrize(
    ("text", "local"),
    [
        *(
            ("", True),
            (":80", True),
            ("[::]", True),
            ("localhost", True),
            ("127.3.4.5", True),
            ("[::1]", True),
            ("0.0.0.0", True),
        ),
        *(("10.0.0.1", False), ("box", False), ("http://gpu.example:11434", False)),
    ],
)
def test_which_addresses_are_this_machine(text: str, local: bool):
    assert read_address(text).is_local is local
