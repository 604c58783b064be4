"""How to ask a model of the tests for a call: real models and the fake one need other words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """Questions that lead to a known answer."""

    weather: str
    """Makes the model call ``get_weather`` with ``{"city": "Paris"}``."""


REAL = Wording(weather="What is the weather in Paris?")
FAKE = Wording(weather='get_weather for {"city": "Paris"}')
