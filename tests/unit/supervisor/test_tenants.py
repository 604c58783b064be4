"""Which tenants are evicted."""

from __future__ import annotations

from dataclasses import replace
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.supervisor.worlds import model, spec
from vllama.supervisor.states import EngineState
from vllama.supervisor.tenants import Tenant, choose_victims

SMALL = Tenant("small", size=2, used_at=10, settled_at=0)
OLD = Tenant("old", size=8, used_at=20, settled_at=0)
FRESH = Tenant("fresh", size=8, used_at=30, settled_at=0)
BUSY = Tenant("busy", size=8, used_at=inf, settled_at=0)


def test_the_least_recently_used_is_evicted_first():
    assert choose_victims([FRESH, BUSY, OLD], 5, 100, 15) == ("old",)


def test_a_small_one_stays_if_a_big_one_must_be_evicted_anyway():
    assert choose_victims([SMALL, OLD, FRESH], 5, 100, 15) == ("old",)
    assert choose_victims([SMALL, OLD], 9, 100, 15) == ("small", "old")


def test_an_idle_one_stays_too_when_only_a_busy_one_is_big_enough():
    assert choose_victims([SMALL, BUSY], 8, 100, 15) == ("busy",)


def test_a_young_one_is_not_evicted():
    assert choose_victims([OLD], 5, 14, 15) == ()


def test_of_a_sleeping_one_only_what_it_keeps_becomes_free():
    sleeper = replace(OLD, asleep=3, sleeping=True)
    assert choose_victims([sleeper], 4, 100, 15) == ()
    assert choose_victims([sleeper, FRESH], 4, 100, 15) == ("fresh",)


def test_an_engines_tenant_has_the_figures_of_its_plan():
    planned = replace(spec(model()), size=100, size_vram=80, kv_cache=30, gpus=(0, 2))
    tenant = EngineState(model(), "ready", spec=planned, pid=11).tenant
    assert (tenant.size, tenant.size_vram, tenant.lazy, tenant.gpus, tenant.pinned) == (100, 80, 30, (0, 2), False)


def test_what_an_engine_holds_follows_its_phase():
    mini = model()
    engine = EngineState(mini, "starting", spec=spec(mini, asleep=7), pid=11, since=5.0, used_at=3.0)
    assert engine.tenant == Tenant(mini.engine_key, 100, 11, asleep=7, loading=True, used_at=3.0, settled_at=5.0)
    ready = replace(engine, phase="ready", leases=frozenset({1})).tenant
    assert (ready.busy, ready.loading, ready.held, ready.settled_at) == (True, False, 100, 5.0)
    asleep = replace(engine, phase="asleep").tenant
    assert (asleep.busy, asleep.loading, asleep.held, asleep.settled_at) == (False, False, 7, -inf)


tenants = st.builds(
    Tenant,
    key=st.text("abcdef", min_size=4, max_size=4),
    size=st.integers(1, 20),
    used_at=st.integers(0, 50).map(float) | st.just(inf),
    settled_at=st.integers(0, 50).map(float),
)


@given(st.lists(tenants, max_size=6, unique_by=lambda t: t.key), st.integers(1, 60))
def test_enough_are_evicted_and_none_whose_end_would_not_help(found: list[Tenant], missing: int):
    sizes = {t.key: t.size for t in found}
    gone = choose_victims(found, missing, 60.0, 15.0)
    freed = sum(sizes[key] for key in gone)
    if gone:
        assert freed >= missing
        assert all(freed - sizes[key] < missing for key in gone)
    else:
        assert sum(t.size for t in found if 60.0 - t.settled_at >= 15.0) < missing
