"""The tests of the official ``anthropic`` client once more, on real vLLM."""

from __future__ import annotations

from tests.clients.test_anthropic_client import *  # noqa: F403
