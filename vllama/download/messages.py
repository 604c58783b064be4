"""The JSON values between the service and the child that asks the hub for it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pydantic import TypeAdapter

from vllama.errors import ModelUnusable, PullFailed, VllamaError
from vllama.install.registry import Registry
from vllama.models.model import Facts

HubTask = Literal["fetch", "describe"]
REGISTRY: Final = TypeAdapter(Registry)
FACTS: Final = TypeAdapter(Facts)


def failure_of(error: VllamaError) -> dict[str, str]:
    """A child's error for its parent."""
    return {"message": error.message, "where": error.where, "hint": error.advice, "code": error.error_code}


def error_of(failure: Mapping[str, Any]) -> PullFailed | ModelUnusable:
    """The opposite of ``failure_of``."""
    kind = ModelUnusable if failure["code"] == ModelUnusable.code else PullFailed
    return kind(failure["message"], where=failure["where"], hint=failure["hint"], code=failure["code"])
