"""The JSON values between the service and the child that asks the hub for it. Pure."""

from __future__ import annotations

from typing import Final, Literal

from pydantic import TypeAdapter

from vllama.errors import ErrandFailed, ModelUnusable, PullFailed
from vllama.install.registry import Registry
from vllama.models.model import Facts

HubTask = Literal["fetch", "describe"]
REGISTRY: Final = TypeAdapter(Registry)
FACTS: Final = TypeAdapter(Facts)


def error_of(failed: ErrandFailed) -> PullFailed | ModelUnusable:
    """The child's own error, or that it died, as what its caller raises."""
    kind = ModelUnusable if failed.error_code == ModelUnusable.code else PullFailed
    code = None if failed.error_code == ErrandFailed.code else failed.error_code
    return kind(str(failed.args[0]), where=failed.where, hint=failed.advice, code=code)
