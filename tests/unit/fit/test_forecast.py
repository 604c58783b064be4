"""What a plan says in one sentence."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.translate.models import model
from vllama.config.schema import Config
from vllama.fit.forecast import forecast
from vllama.fit.hardware import Hardware
from vllama.fit.memory import MemoryEstimate
from vllama.fit.places import Place
from vllama.fit.plan import Missing, Plan, Refusal, plan
from vllama.fit.settings import wanted_settings

GIB = 1 << 30
NEED = MemoryEstimate(weights=16 * GIB, kv_cache=GIB, overhead=GIB)
PLACE = Place((0,), 24 * GIB, 10 * GIB, 10 * GIB, 1)
CHATTER = model("tinychat")


def test_what_fits_is_told_in_chats():
    hardware = Hardware("cpu", (0, 1), 24 * GIB, 16 * GIB)
    answer = plan(CHATTER.facts, wanted_settings(CHATTER, Config(), hardware), hardware)
    assert isinstance(answer, Plan)
    found = forecast(CHATTER, replace(answer, requests=12.3), download=7)
    assert found.fits
    assert found.verdict.startswith("fits: about 12 chats at once with ")
    assert (found.chats, found.download) == (12.3, 7)
    assert found.total >= found.weights + found.kv_cache
    assert forecast(CHATTER, replace(answer, requests=0.0)).verdict == "fits"


def test_what_does_not_fit_says_why():
    missing = forecast(CHATTER, Missing(2 * GIB, NEED, PLACE))
    assert (missing.fits, missing.total) == (False, 18 * GIB)
    assert "2.0 GiB more must be free" in missing.verdict
    refused = forecast(CHATTER, Refusal(NEED, PLACE, 8192))
    assert refused.verdict == ("does not fit: model requires more GPU memory (18.0 GiB) than is available (10.0 GiB)")
    assert refused.context_length is None
