"""The parts of a download, from the files that are fetched."""

from __future__ import annotations

from vllama.download.hub import RemoteFile
from vllama.download.parts import Parts
from vllama.models.arrival import Part
from vllama.models.sources import Source

LARGE = "a" * 64
MINI = Source("hub", "acme/mini")
CONFIG, WEIGHTS = RemoteFile("config.json", 7, ""), RemoteFile("model.safetensors", 100, LARGE)
TOKENIZER = RemoteFile("tokenizer.json", 5, "")


def parts() -> Parts:
    return Parts(MINI, (CONFIG, WEIGHTS, TOKENIZER))


def test_each_large_file_is_a_part_and_the_small_ones_are_one_together():
    small, large = parts().changed({})
    assert large == Part(LARGE, 100, 0)
    assert (len(small.digest), small.total, small.completed) == (64, 12, 0)


def test_a_part_grows_by_all_of_its_files():
    changed = parts().changed({"config.json": 7, "tokenizer.json": 2, "model.safetensors": 40})
    assert [part.completed for part in changed] == [9, 40]


def test_only_what_has_changed_is_reported_again():
    growing = parts()
    growing.changed({})
    assert growing.changed({"model.safetensors": 40}) == [Part(LARGE, 100, 40)]
    assert growing.changed({"model.safetensors": 40}) == []


def test_the_small_files_of_two_repositories_are_two_parts():
    (one,), (other,) = (Parts(Source("hub", f"acme/{name}"), (CONFIG,)).changed({}) for name in ("one", "other"))
    assert one.digest != other.digest
