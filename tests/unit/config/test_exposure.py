from __future__ import annotations

import pytest

from vllama.config.exposure import exposures
from vllama.config.schema import Server


def texts(**server) -> str:
    return " ".join(f"{one.text} {one.hint}" for one in exposures(Server.model_validate({"host": "0.0.0.0", **server})))


@pytest.mark.parametrize(
    ("server", "word"),
    [
        ({"access": "any", "management": "any"}, "delete"),
        ({"access": "any"}, "use the models"),
        ({"trusted_proxies": ["0.0.0.0/0"]}, "claim any client address"),
        ({"host": "127.0.0.1", "trusted_proxies": ["127.0.0.1"], "keys": "required"}, "everyone"),
        ({"host": "::1", "keys": "required"}, "everyone"),
    ],
)
def test_what_opens_the_service_to_strangers_is_said(server, word):
    assert word in texts(**server)


@pytest.mark.parametrize(
    "server",
    [
        {},
        {"access": "any", "management": "any", "keys": "required"},
        {"access": "any", "management": "any", "keys": "everyone"},
        {"host": "127.0.0.1", "access": "any", "management": "any"},
        {"host": "::1", "keys": "everyone", "trusted_proxies": ["::1"]},
        {"trusted_proxies": ["10.0.0.0/8"]},
    ],
)
def test_what_does_not_is_left_alone(server):
    assert texts(**server) == ""
