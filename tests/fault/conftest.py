"""The fault ring uses the component ring's service; its sentences have a bound in seconds."""

from __future__ import annotations

from tests.component.conftest import folder, service

__all__ = ["folder", "service"]
