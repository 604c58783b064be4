from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.bench.made import leg
from vllama.bench.candidates import Candidate
from vllama.bench.figures import table_of
from vllama.bench.samples import Leg, Sample
from vllama.bench.trials import LEAST_GAIN, Trial, judge, speed, table, to_confirm, winners


def trial(seconds: float, **changes: object) -> Trial:
    """Twice the seconds is half the speed."""
    legs = [leg("e", 0.1, seconds=seconds, clients=1), leg("e", 0.1, seconds=seconds / 4, clients=8)]
    return Trial(Candidate(changes), tuple(table_of(legs)))


def test_the_fastest_wins():
    found = judge(trial(1), [trial(0.9, max_num_seqs=16), trial(0.8, max_num_seqs=64)], trial(1))
    assert found.best is not None
    assert found.best.candidate.changes == {"max_num_seqs": 64}
    assert found.gains["max_num_seqs 64"] == pytest.approx(1.25)
    assert found.drift == pytest.approx(0)


def test_a_gain_smaller_than_the_machines_own_drift_is_none():
    assert judge(trial(1), [trial(1 / 1.1, max_num_seqs=64)], trial(1.2)).best is None
    assert judge(trial(1), [trial(1 / 1.5, max_num_seqs=64)], trial(1.2)).best is not None


def test_a_single_lucky_run_does_not_win():
    found = judge(trial(1), [trial(0.8, max_num_seqs=64)], trial(1), [trial(0.99, max_num_seqs=64)])
    assert found.best is None
    assert found.gains["max_num_seqs 64"] == pytest.approx(1 / 0.99)


def test_of_two_gains_the_smaller_is_reported():
    for once, again in ((0.8, 0.9), (0.9, 0.8)):
        found = judge(trial(1), [trial(once, max_num_seqs=64)], trial(1), [trial(again, max_num_seqs=64)])
        assert found.best is not None
        assert found.gains["max_num_seqs 64"] == pytest.approx(1 / 0.9)


def test_a_winner_that_can_not_be_started_again_does_not_win():
    again = Trial(Candidate({"max_num_seqs": 64}), problem="no memory")
    found = judge(trial(1), [trial(0.5, max_num_seqs=64)], trial(1), [again])
    assert found.best is None
    assert table(trial(1), [trial(0.5, max_num_seqs=64)], found)[1][-1][-1] == "-"


def test_the_next_best_is_measured_again_until_a_winner_has_won_twice():
    lucky, good = trial(0.5, max_num_seqs=64), trial(0.8, max_num_seqs=16)
    again: list[Trial] = []
    assert to_confirm(trial(1), [lucky, good], trial(1), again) == lucky.candidate
    again.append(trial(0.95, max_num_seqs=64))
    assert to_confirm(trial(1), [lucky, good], trial(1), again) == good.candidate
    again.append(trial(0.85, max_num_seqs=16))
    assert to_confirm(trial(1), [lucky, good], trial(1), again) is None
    found = judge(trial(1), [lucky, good], trial(1), again)
    assert found.best is not None
    assert found.best.candidate == good.candidate


@given(st.floats(0.1, 10), st.floats(0.5, 2))
def test_a_candidate_as_fast_as_what_holds_never_wins(seconds, drift):
    # a machine that became slower meanwhile, with the candidate in the middle
    found = judge(trial(seconds), [trial(seconds * drift**0.5, max_num_seqs=64)], trial(seconds * drift))
    assert found.best is None
    assert found.gains["max_num_seqs 64"] == pytest.approx(1)


def test_hardly_faster_is_not_worth_a_setting():
    assert judge(trial(1), [trial(1 / (1 + LEAST_GAIN / 2), max_num_seqs=64)], trial(1)).best is None


def test_a_candidate_that_failed_or_lost_requests_never_wins():
    lost = Trial(
        Candidate({"max_num_seqs": 16}),
        tuple(
            table_of(
                [Leg("e", number, 0.001, (Sample(1, 0.1, tokens_out=9), Sample(1, error="x"))) for number in (1, 8)]
            )
        ),
    )
    found = judge(trial(1), [Trial(Candidate({"max_num_seqs": 64}), problem="no memory"), lost], trial(1))
    assert found.best is None
    assert found.gains == {"max_num_seqs 64": 0, "max_num_seqs 16": 0}


def test_a_gain_at_one_number_of_clients_is_weighed_against_a_loss_at_another():
    mixed = Trial(
        Candidate({"max_num_seqs": 64}),
        tuple(table_of([leg("e", 0.1, seconds=0.5, clients=1), leg("e", 0.1, seconds=0.5, clients=8)])),
    )
    assert speed(mixed, trial(1)) == pytest.approx(1)


def test_the_best_of_each_setting_is_tried_together():
    found = winners(
        trial(1), [trial(0.9, max_num_seqs=16), trial(0.8, max_num_seqs=64), trial(0.7, cpu_threads="0"), trial(2, a=1)]
    )
    assert {key: dict(one.changes) for key, one in found.items()} == {
        "max_num_seqs": {"max_num_seqs": 64},
        "cpu_threads": {"cpu_threads": "0"},
    }


def test_the_table_reports_all_that_was_tried():
    trials = [trial(0.8, max_num_seqs=64), Trial(Candidate({"max_num_seqs": 16}), problem="no memory")]
    head, rows = table(trial(1), trials, judge(trial(1), trials, trial(1)))
    assert {len(row) for row in rows} == {len(head)}
    assert [row[0] for row in rows] == ["as it is", "max_num_seqs 64", "max_num_seqs 16"]
    assert [row[-1] for row in rows] == ["-", "+25.0 %", "no memory"]
