from __future__ import annotations

import pytest

from tests.load.ollama_tables import BEGIN, END, full, replaced, short, shortened
from tests.unit.bench.made import leg, record
from tests.unit.test_docs import ROOT
from vllama.bench.record import to_json

NAMES = ("vLLama", "Q8_0-serial", "Q8_0-batched")


def data() -> bytes:
    """One client: we are slower than both; four: we are faster."""
    speeds = {1: (0.2, 0.1, 0.1), 4: (0.2, 0.8, 0.4)}
    legs = [
        leg(name, 0.2, seconds=seconds, clients=clients)
        for clients, all_of_them in speeds.items()
        for name, seconds in zip(NAMES, all_of_them, strict=True)
    ]
    return to_json(record(*legs))


def test_the_fastest_is_in_bold_and_the_ratio_says_where_we_lose():
    lines = short(data()).splitlines()
    assert lines[2].startswith("| Clients | vLLama, bf16 | llama.cpp serial, Q8_0 |")
    one, four = (line.split(" | ") for line in lines[4:6])
    assert "**" not in one[1]
    assert "**" in one[2]
    assert one[-2:] == ["0.50", "0.50 |"]
    assert "**" in four[1]
    assert four[-2:] == ["4.00", "2.00 |"]


def test_the_machine_is_named():
    assert short(data()).startswith("Measured on ")
    assert full(data()).startswith("Measured on ")


def test_a_table_is_put_between_its_marks_and_nothing_else_is_touched():
    document = f"before\n{BEGIN}old\n{END}after\n"
    assert replaced(document, "new\n") == f"before\n{BEGIN}new\n{END}after\n"
    with pytest.raises(ValueError, match="no line"):
        replaced("before\n", "new\n")


def test_what_is_kept_is_shorter_and_gives_the_same_tables():
    kept = shortened(data())
    assert full(kept) == full(data())


@pytest.mark.parametrize(("document", "table"), [("README.md", short), ("docs/performance.md", full)])
def test_the_tables_of_the_documents_are_those_of_the_kept_samples(document, table):
    text = (ROOT / document).read_text("utf-8")
    assert replaced(text, "") != text
    for kept in (ROOT / "docs" / "benchmarks").glob("ollama_cpu.json"):
        assert replaced(text, table(kept.read_bytes())) == text
