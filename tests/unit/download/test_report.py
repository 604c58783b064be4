"""How far a download is: its parts, from the lines of the child that fetches."""

from __future__ import annotations

from vllama.download.report import Parts
from vllama.models.arrival import Part
from vllama.models.sources import Source

LARGE = "a" * 64


def planned() -> Parts:
    parts = Parts(Source("hub", "acme/mini"))
    files = [
        {"name": "config.json", "size": 7, "sha256": ""},
        {"name": "model.safetensors", "size": 100, "sha256": LARGE},
        {"name": "tokenizer.json", "size": 5, "sha256": ""},
    ]
    parts.hear({"snapshot": {"commit": "f" * 40, "files": files}})
    return parts


def test_each_large_file_is_a_part_and_the_small_ones_are_one_together():
    small, large = planned().now
    assert large == Part(LARGE, 100, 0)
    assert (len(small.digest), small.total, small.completed) == (64, 12, 0)


def test_a_part_grows_by_all_of_its_files():
    parts = planned()
    parts.hear({"here": {"config.json": 7, "tokenizer.json": 2, "model.safetensors": 40}})
    assert [part.completed for part in parts.now] == [9, 40]


def test_the_small_files_of_two_repositories_are_two_parts():
    line = {"snapshot": {"files": [{"name": "config.json", "size": 7, "sha256": ""}]}}
    one, other = (Parts(Source("hub", f"acme/{name}")) for name in ("one", "other"))
    one.hear(line)
    other.hear(line)
    assert one.now[0].digest != other.now[0].digest
