"""``vllama usage``: what it asks and what it prints."""

from __future__ import annotations

import json

from tests.component.cli.conftest import Vllama
from tests.fakes.service import Service

ROW = {"requests": 1204, "failed": 1, "prompt_tokens": 9000, "cached_tokens": 10, "generated_tokens": 77}
ANSWER = {
    "since": 0.0, "until": 1.0, "by": ["person"], "lost": 3, "currency": "EUR",
    "rows": [
        {"person": "an\x1bna", **ROW, "engine_seconds": 3725.4, "money": 1.234, "joules": 3.6e6},
        {**ROW, "engine_seconds": 1.0},
    ],
}  # fmt: skip
ASKED = "/vllama/usage?by=person&since=7d"


def test_a_table_shows_what_is_known(vllama: Vllama, service: Service) -> None:
    service.fixed[ASKED] = (200, ANSWER)
    done = vllama("usage", "--by", "person", "--since", "7d")
    header, first, second = done.stdout.splitlines()
    assert " ".join(header.split()) == "PERSON REQUESTS FAILED PROMPT CACHED GENERATED ENGINE TIME ENERGY COST"
    assert "\x1b" not in first
    assert first.split()[-6:] == ["77", "1:02:05", "1.000", "kWh", "1.23", "EUR"]
    assert second.split()[0] == "-"
    assert second.split()[-2:] == ["-", "-"]
    assert "3 requests could not be recorded" in done.stderr


def test_programs_get_the_answer_itself(vllama: Vllama, service: Service) -> None:
    service.fixed[ASKED] = (200, ANSWER)
    assert json.loads(vllama("usage", "--by", "person", "--since", "7d", "--json").stdout) == ANSWER


def test_csv_and_json_exclude_each_other(vllama: Vllama) -> None:
    done = vllama("usage", "--csv", "--json")
    assert done.returncode == 1
    assert "exclude each other" in done.stderr
