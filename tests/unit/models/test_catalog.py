"""Names of Ollama's library: what they mean, and which repository is chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from vllama.errors import ConfigError
from vllama.fit.hardware import Gpu, Hardware
from vllama.fit.room import room_for_weights
from vllama.models.catalog import Catalog, Family, Listing, WeightRoom, choose
from vllama.models.catalogs import read_catalog
from vllama.models.names import parse_name

GB = 10**9
FAMILIES = {
    "mini": Family.model_validate(
        {
            "licence": "mit",
            "kind": "chat",
            "gated": True,
            "context": 4096,
            "tool_parser": "hermes",
            "tags": {
                "latest": "8b",
                "8b": {
                    "billions": 8,
                    "bf16": "acme/mini-8b",
                    "open": "free/mini-8b",
                    "fp8": "quant/mini-8b-FP8",
                    "int4": "acme/mini-8b-AWQ",
                },
                "1b": {"billions": 1, "bf16": "acme/mini-1b", "gated": False, "context": 2048},
            },
        }
    )
}


@pytest.fixture
def catalog() -> Catalog:
    return Catalog(FAMILIES)


def find(catalog: Catalog, text: str) -> Listing | None:
    name = parse_name(text)
    assert name is not None
    return catalog.find(name)


def repositories(catalog: Catalog, text: str) -> list[str]:
    listing = find(catalog, text)
    assert listing is not None
    return [offer.repository for offer in listing.offers]


def test_the_shipped_catalogue_leads_everywhere_to_a_repository(tmp_path: Path):
    listings = list(read_catalog(tmp_path).all())
    assert len({listing.name.model for listing in listings}) >= 60
    assert len(listings) > 400
    for listing in listings:
        assert listing.offers, listing.name
        assert listing.licence, listing.name
        assert listing.kind, listing.name


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("llama3.2:3b", "unsloth/Llama-3.2-3B-Instruct"),
        ("qwen3:0.6b", "Qwen/Qwen3-0.6B"),
        ("gpt-oss:20b", "openai/gpt-oss-20b"),
        ("deepseek-r1:8b", "unsloth/DeepSeek-R1-0528-Qwen3-8B"),
        ("nomic-embed-text", "nomic-ai/nomic-embed-text-v1.5"),
        ("all-minilm", "sentence-transformers/all-MiniLM-L6-v2"),
    ],
)
def test_names_that_people_use_mean_what_they_do_there(tmp_path: Path, name: str, repository: str):
    assert repository in repositories(read_catalog(tmp_path), name)


def test_a_tag_says_what_its_family_does_not(catalog: Catalog):
    small, large = find(catalog, "mini:1b"), find(catalog, "MINI")
    assert small is not None
    assert large is not None
    assert (small.context, large.context, small.licence, small.tool_parser) == (2048, 4096, "mit", "hermes")
    assert (small.offers[0].gated, large.offers[2].gated) == (False, True)


def test_an_open_copy_stands_for_a_gated_original_and_copies_of_others_have_no_gate(catalog: Catalog):
    listing = find(catalog, "mini")
    assert listing is not None
    assert [(offer.repository, offer.gated) for offer in listing.offers] == [
        ("free/mini-8b", False),
        ("quant/mini-8b-FP8", False),
        ("acme/mini-8b-AWQ", True),
    ]


@pytest.mark.parametrize(
    ("tag", "found"),
    [
        ("8b-instruct-fp16", ["free/mini-8b"]),
        ("8b-q8_0", ["quant/mini-8b-FP8"]),
        ("8B-Instruct-Q4_K_M", ["acme/mini-8b-AWQ"]),
        ("int4", ["acme/mini-8b-AWQ"]),
        ("1b-instruct", ["acme/mini-1b"]),
        ("1b-fp8", []),
    ],
)
def test_ollamas_long_tags_choose_a_precision(catalog: Catalog, tag: str, found: list[str]):
    assert repositories(catalog, f"mini:{tag}") == found


@pytest.mark.parametrize("text", ["mini:3b", "mini:8b-fancy", "maxi", "acme/mini", "hf.co/library/mini", "mini:8b-"])
def test_other_names_are_not_in_the_catalogue(catalog: Catalog, text: str):
    assert find(catalog, text) is None


@pytest.mark.parametrize(
    ("room", "repository"),
    [
        (WeightRoom(20 * GB), "free/mini-8b"),
        (WeightRoom(10 * GB), "quant/mini-8b-FP8"),
        (WeightRoom(10 * GB, frozenset({"bf16", "int4"}), token=True), "acme/mini-8b-AWQ"),
        (WeightRoom(1 * GB), "quant/mini-8b-FP8"),  # none fits: the smallest that needs no token
        (WeightRoom(1 * GB, token=True), "acme/mini-8b-AWQ"),
    ],
)
def test_the_most_precise_one_that_fits_is_chosen(catalog: Catalog, room: WeightRoom, repository: str):
    listing = find(catalog, "mini")
    assert listing is not None
    offer = choose(listing, room)
    assert offer is not None
    assert offer.repository == repository


def test_nothing_is_chosen_that_can_not_be_computed(catalog: Catalog):
    listing = find(catalog, "mini:8b-fp8")
    assert listing is not None
    assert choose(listing, WeightRoom(99 * GB, frozenset({"bf16"}))) is None


def test_the_room_is_most_of_the_gpus_or_some_of_the_ram():
    cpu = Hardware("cpu", (0,), 10 * GB, 9 * GB)
    assert room_for_weights(cpu, token=False) == WeightRoom(6 * GB, frozenset({"bf16", "int4"}))
    ampere, turing = Gpu(0, "A", 40 * GB, 1, (8, 0)), Gpu(1, "T", 20 * GB, 1, (7, 5))
    pair = room_for_weights(Hardware("cuda", (0,), GB, GB, (ampere, ampere)), token=True)
    assert (pair.bytes, pair.token, "fp8" in pair.precisions) == (68 * GB, True, True)
    assert "fp8" not in room_for_weights(Hardware("cuda", (0,), GB, GB, (turing,)), token=True).precisions


def test_an_administrators_files_win_in_their_order(tmp_path: Path):
    (tmp_path / "10-own.yaml").write_text(
        "tinier: {tags: {latest: {bf16: me/tinier}}}\n"
        "qwen3: {licence: mine, tags: {0.6b: {bf16: me/qwen}, mine: 0.6b}}\n"
    )
    (tmp_path / "20-own.yaml").write_text("tinier: {tags: {latest: {bf16: you/tinier}}}\n")
    (tmp_path / "notes.txt").write_text("{")
    catalog = read_catalog(tmp_path)
    assert repositories(catalog, "tinier") == ["you/tinier"]
    assert repositories(catalog, "qwen3:mine") == ["me/qwen"]
    own = find(catalog, "qwen3:0.6b")
    assert own is not None
    assert own.licence == "mine"
    assert repositories(catalog, "qwen3:8b")


@pytest.mark.parametrize(
    ("text", "reported"),
    [
        ("a: {tags: {latest: {bf16: nonsense}}}", "a.tags.latest.bf16: must be a repository org/name"),
        ("a: {tags: {latest: {bf17: o/n}}}", "a.tags.latest.bf17: unknown key"),
        ("a: {tags: {'../x': {bf16: o/n}}}", "must be a tag"),
        ("'a/b/c/d': {tags: {latest: {bf16: o/n}}}", "must be a model name"),
        ("a: {tags: {latest: other}}", "a:latest names no repository"),
        ("a: {tags: {latest: b, b: latest}}", "a:latest names no repository"),
        ("a: {tags: {}}", "a.tags"),
        ("a: [", "x.yaml:"),
        ("[]", "x.yaml"),
    ],
)
def test_what_is_wrong_in_a_file_is_reported(tmp_path: Path, text: str, reported: str):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_catalog(tmp_path)
    assert any(reported in problem for problem in caught.value.problems), caught.value.problems
