"""The tests of the official ``ollama`` client once more, on real vLLM."""

from __future__ import annotations

from tests.clients.test_ollama_client import *  # noqa: F403
