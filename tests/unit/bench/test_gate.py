from __future__ import annotations

import pytest

from tests.unit.bench.made import leg
from vllama.bench.figures import table_of
from vllama.bench.gate import gate, with_gate


@pytest.mark.parametrize(("times", "met"), [(4.0, True), (3.99, False), (12.0, True)])
def test_sixteen_clients_must_get_four_times_the_requests_of_one(times, met):
    rows = table_of([leg("v", 0.1, seconds=4, clients=1), leg("v", 0.1, seconds=4 / times, clients=16)])
    assert gate(rows, "v").met is met


def test_a_server_that_answers_nothing_misses_it():
    rows = table_of([leg("v", seconds=1, clients=1), leg("v", seconds=1, clients=16)])
    assert not gate(rows, "v").met


def test_another_targets_speed_does_not_count():
    legs = [leg("v", 0.1, clients=1), leg("v", 0.1, clients=16), leg("w", 0.1, seconds=0.01, clients=16)]
    assert not gate(table_of(legs), "v").met


def test_its_numbers_of_clients_are_measured():
    assert with_gate((5, 50)) == (1, 5, 16, 50)
