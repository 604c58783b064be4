"""The tests of the official ``openai`` client once more, on real vLLM."""

from __future__ import annotations

from tests.clients.test_openai_client import *  # noqa: F403
