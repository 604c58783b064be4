"""What a plan says of a model in one value and one sentence, for those who choose one. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vllama.fit.plan import Missing, Plan, Refusal, memory, tokens
from vllama.fit.words import too_big
from vllama.models.model import Model


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a model would run on this machine; sizes in bytes."""

    model: str
    """Short name."""
    fits: bool
    verdict: str
    """``fits: about 12 chats at once with 8k context``."""
    weights: int
    kv_cache: int
    total: int
    context_length: int | None = None
    """Tokens; None if it does not fit."""
    chats: float | None = None
    """Requests of the whole context at once; None for a model without a KV cache, or if it does not fit."""
    download: int | None = None
    """Weights that a pull would fetch; None if the model is here."""

    def shown(self) -> dict[str, Any]:
        """As ``GET /vllama/plan`` sends it: what is not known is left out."""
        return {key: value for key, value in asdict(self).items() if value is not None}


def forecast(model: Model, answer: Plan | Missing | Refusal, download: int | None = None) -> Forecast:
    """``answer``: the plan of this model."""
    name = model.name.short
    if isinstance(answer, Plan):
        need, context = answer.settings.estimate, answer.settings.context
        return Forecast(
            name,
            fits=True,
            verdict=_fits(answer),
            weights=need.weights,
            kv_cache=need.kv_cache,
            total=need.total,
            context_length=context,
            chats=round(answer.requests, 2) or None,
            download=download,
        )
    need = answer.need
    if isinstance(answer, Missing):
        verdict = f"does not fit now: {memory(answer.bytes)} more must be free (idle models are unloaded for it)"
    else:
        verdict = f"does not fit: {too_big(need, answer.place)}"
    return Forecast(name, False, verdict, need.weights, need.kv_cache, need.total, download=download)  # noqa: FBT003


def _fits(plan: Plan) -> str:
    if not plan.requests:
        return "fits"
    noun = "chat" if plan.task == "generate" else "text"
    count = f"about {plan.requests:.0f} {noun}s" if plan.requests >= 1.5 else f"one {noun}"
    return f"fits: {count} at once with {tokens(plan.settings.context)} context"
