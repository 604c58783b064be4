"""What a request costs, by its tokens or by the machine's time and energy. Pure."""

from __future__ import annotations

from vllama.config.schema import Price, Prices
from vllama.models.names import parse_name
from vllama.observe.spent import Spent

_MILLION = 1e6
_JOULES_PER_KWH = 3.6e6


class PriceList:
    """Prices as configured; amounts are in ``Prices.currency``."""

    def __init__(self, prices: Prices) -> None:
        named = {parse_name(name): price for name, price in prices.models.items()}
        self._models = {name.short: price for name, price in named.items() if name is not None}
        self._others = prices.others
        self._kwh = prices.kwh
        self._hour = prices.hour

    def cost(self, spent: Spent, joules: float | None = None) -> float | None:
        """Of the request; None where no price says. Without a price for the model's tokens, time and energy count."""
        price = self._models.get(spent.model, self._others)
        if price is not None:
            return _by_tokens(price, spent)
        parts = []
        if self._hour is not None and spent.machine_seconds is not None:
            parts.append(spent.machine_seconds / 3600 * self._hour)
        if self._kwh is not None and joules is not None:
            parts.append(joules / _JOULES_PER_KWH * self._kwh)
        return sum(parts) if parts else None


def _by_tokens(price: Price, spent: Spent) -> float:
    cached = min(spent.cached_tokens, spent.prompt_tokens)
    of_cached = price.input if price.cached is None else price.cached
    paid = (spent.prompt_tokens - cached) * price.input + cached * of_cached + spent.generated_tokens * price.output
    return paid / _MILLION
