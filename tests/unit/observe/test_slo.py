from __future__ import annotations

from dataclasses import replace

import pytest

from vllama.caller import NOBODY
from vllama.config.schema import Config
from vllama.observe.slo import ALERTS, BURN_WINDOWS, Objective, budget_of, objectives, succeeded
from vllama.observe.spent import Spent
from vllama.observe.windows import Windows

NOW = 1_800_000_000.0
CHAT = {"models": ["tiny"], "ttft": "1s at 95 %", "success": "99 %", "over": "30d"}
TTFT, SUCCESS = objectives(Config.model_validate({"slos": {"chat": CHAT}}).slos)
DONE = Spent(NOBODY, "/api/chat", "tiny:latest", 200, 2.0, first_token=0.5)


def judge(objective: Objective, spent: Spent) -> bool | None:
    success = succeeded(spent)
    return None if success is None else objective.judge(spent, success)


def test_a_prompt_answer_is_good_and_a_late_one_only_succeeds():
    late = replace(DONE, first_token=1.01)
    assert (judge(TTFT, DONE), judge(SUCCESS, DONE)) == (True, True)
    assert (judge(TTFT, replace(DONE, first_token=1.0)), judge(TTFT, late), judge(SUCCESS, late)) == (True, False, True)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_what_we_failed_to_answer_is_bad_and_has_no_first_token(status: int):
    failed = replace(DONE, status=status, first_token=None)
    assert (judge(TTFT, failed), judge(SUCCESS, failed)) == (None, False)


def test_an_answer_that_broke_off_is_bad_whatever_its_status_and_one_that_a_manager_ended_does_not_count():
    broken = replace(DONE, broken=True)
    assert (judge(TTFT, broken), judge(SUCCESS, broken)) == (None, False)
    assert judge(SUCCESS, replace(DONE, cancelled=True)) is None


@pytest.mark.parametrize("status", [400, 401, 404, 413, 429, 499])
def test_what_the_client_did_wrong_or_left_counts_neither_way(status: int):
    theirs = replace(DONE, status=status, first_token=5.0)
    assert (judge(TTFT, theirs), judge(SUCCESS, theirs)) == (None, None)


def test_only_the_models_of_an_objective_concern_it_and_without_models_all_do():
    (every,) = objectives(Config.model_validate({"slos": {"all": {"success": "99 %"}}}).slos)
    assert [SUCCESS.concerns(model) for model in ("tiny:latest", "tiny:8b", "other:latest")] == [True, False, False]
    assert every.concerns("other:latest")


def test_an_answer_without_a_token_has_no_time_to_one():
    assert judge(TTFT, replace(DONE, first_token=None)) is None


def test_a_budget_is_spent_by_the_share_of_bad_requests():
    windows = Windows()
    for number in range(1000):
        windows.add(NOW, bad=number < 5)
    budget = budget_of(SUCCESS, windows, NOW)
    assert budget.left == pytest.approx(0.5)  # 0.5 % of 1 %
    assert budget.burn == pytest.approx(dict.fromkeys(BURN_WINDOWS, 0.5))


def test_a_budget_may_be_overspent_and_comes_back_with_time():
    windows = Windows()
    for _ in range(100):
        windows.add(NOW, bad=True)
    assert budget_of(SUCCESS, windows, NOW).left == pytest.approx(-99)
    later = budget_of(SUCCESS, windows, NOW + 3600)
    assert (later.burn["5m"], later.burn["6h"]) == (0, pytest.approx(100))
    assert budget_of(SUCCESS, windows, NOW + 30 * 86400).left == 1


def test_what_is_shown_holds_what_the_contract_of_the_route_says():
    assert budget_of(TTFT, Windows(), NOW).shown() == {
        "name": "chat",
        "objective": "ttft",
        "models": ["tiny:latest"],
        "target": 0.95,
        "threshold": 1.0,
        "over": 30 * 86400.0,
        "requests": 0,
        "good": 0,
        "budget_left": 1.0,
        "burn": dict.fromkeys(("5m", "30m", "1h", "2h", "6h", "1d", "3d"), 0.0),
    }
    assert "threshold" not in budget_of(SUCCESS, Windows(), NOW).shown()


def test_alerts_fire_from_the_usual_burn_rates():
    assert [alert.factor(SUCCESS) for alert in ALERTS] == [14.4, 6, 3, 1]


@pytest.mark.parametrize("success", ["1 %", "50 %", "90 %", "99.999 %"])
@pytest.mark.parametrize("over", ["3d", "7d", "90d"])
def test_an_alert_can_fire_for_every_target_and_never_does_within_the_budget(success: str, over: str):
    (one,) = objectives(Config.model_validate({"slos": {"x": {"success": success, "over": over}}}).slos)
    for alert in ALERTS:
        assert one.budget <= alert.factor(one) * one.budget < 1


def test_a_budget_burns_while_the_long_and_the_short_window_say_so():
    windows = Windows()
    for minute in range(60):
        windows.add(NOW + 60 * minute, bad=minute >= 30)
    now = NOW + 3600
    assert budget_of(SUCCESS, windows, now).burning("page")
    later = budget_of(SUCCESS, windows, now + 1900)  # half an hour without a failure
    assert (later.burning("page"), later.burning("ticket")) == (False, True)
