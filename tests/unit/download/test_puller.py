"""From a name to a listed model; the transfer itself is scripted here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.unit.models.model_files import make_model, safetensors
from tests.unit.models.test_catalog import FAMILIES
from tests.unit.models.test_store import COMMIT, make_snapshot
from vllama.config.load import load_config
from vllama.download.puller import Puller
from vllama.errors import ModelUnusable, PullFailed
from vllama.models.arrival import Part
from vllama.models.catalog import Catalog, Listing, Offer, WeightRoom, choose
from vllama.models.manifest import Manifest
from vllama.models.names import ModelName, parse_name, split_revision
from vllama.models.snapshots import find_snapshot
from vllama.models.sources import Source
from vllama.models.store import ModelStore
from vllama.service.stock import open_store

PART = Part("a" * 64, 10, 5)
ROOMY = WeightRoom(10**12)


def by_size(room: WeightRoom) -> Callable[[Listing], Awaitable[Offer | None]]:
    async def chosen(listing: Listing) -> Offer | None:
        return choose(listing, room)

    return chosen


class ScriptedDownloads:
    """Lays a directory into the cache and says that it was fetched."""

    def __init__(self, state: Path, folder: Path) -> None:
        self.state, self.folder = state, folder
        self.commit = COMMIT
        self.asked: list[Source] = []

    async def follow(self, source: Source) -> AsyncGenerator[tuple[Part, ...] | str]:
        self.asked.append(source)
        yield (PART,)
        if find_snapshot(self.state, source.location, self.commit) is None:
            make_snapshot(self.state, source.location, self.folder, self.commit)
        yield self.commit


@pytest.fixture
def world(tmp_path: Path):
    def make(
        config: str = "", room: WeightRoom = ROOMY, **model: object
    ) -> tuple[ModelStore, ScriptedDownloads, Puller]:
        file = tmp_path / "vllama.yaml"
        file.write_text(config)
        loaded = load_config(file, environ={"HOME": "/", "VLLAMA_STATE_DIR": str(tmp_path / "state")})
        store = open_store(loaded)
        downloads = ScriptedDownloads(loaded.state, make_model(tmp_path / "remote", **model))
        return store, downloads, Puller(store, Catalog(FAMILIES), downloads, by_size(room))  # type: ignore[arg-type]

    return make


def name(text: str) -> ModelName:
    found = parse_name(split_revision(text)[0])
    assert found is not None, text
    return found


async def steps(puller: Puller, text: str) -> list[object]:
    return [step async for step in puller.pull(name(text), split_revision(text)[1])]


ALL = ["pulling manifest", (PART,), "verifying sha256 digest", "writing manifest", "success"]


async def test_a_name_of_the_catalogue_is_listed_under_its_name(world):
    store, downloads, puller = world()
    assert await steps(puller, "mini:1b") == ALL
    assert downloads.asked == [Source("hub", "acme/mini-1b")]
    (model,) = store.all()
    assert (model.name.short, model.path.name) == ("mini:1b", COMMIT)
    assert store.library.find(name("mini:1b")).tool_parser == "hermes"


@pytest.mark.parametrize(
    ("text", "source", "listed"),
    [
        ("acme/Mini", Source("hub", "acme/Mini"), "acme/Mini:latest"),
        ("acme/Mini@v1.0", Source("hub", "acme/Mini", "v1.0"), "acme/Mini:v1.0"),
        ("acme/Mini@refs/pr/3", Source("hub", "acme/Mini", "refs/pr/3"), "acme/Mini:refs-pr-3"),
        ("acme/Mini@feature/new+x", Source("hub", "acme/Mini", "feature/new+x"), "acme/Mini:feature-new-x"),
        ("hf.co/acme/Mini@refs/pr/3", Source("hub", "acme/Mini", "refs/pr/3"), "hf.co/acme/Mini:refs-pr-3"),
        ("acme/Mini@latest", Source("hub", "acme/Mini", "latest"), "acme/Mini:latest"),
        ("acme/Mini:v1.0", Source("hub", "acme/Mini", "v1.0"), "acme/Mini:v1.0"),
        ("hf.co/acme/Mini", Source("hub", "acme/Mini"), "hf.co/acme/Mini:latest"),
        ("https://huggingface.co/acme/Mini:v1", Source("hub", "acme/Mini", "v1"), "huggingface.co/acme/Mini:v1"),
    ],
)
async def test_repositories_are_listed_as_they_were_named(world, text: str, source: Source, listed: str):
    store, downloads, puller = world()
    assert await steps(puller, text) == ALL
    assert downloads.asked == [source]
    assert [model.name.short for model in store.all()] == [listed]


async def test_the_name_of_a_branch_with_a_slash_is_pulled_again_from_that_branch(world):
    _, downloads, puller = world()
    await steps(puller, "acme/Mini@refs/pr/3")
    await steps(puller, "acme/mini:refs-pr-3")  # as it is listed
    assert downloads.asked == [Source("hub", "acme/Mini", "refs/pr/3"), Source("hub", "acme/mini", "refs/pr/3")]
    await steps(puller, "acme/Mini:other-branch")
    assert downloads.asked[-1] == Source("hub", "acme/Mini", "other-branch")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("nobody", "(see: vllama catalog list). Or name"),
        ("mimi:1b", "Did you mean mini:1b? Or name"),
        ("mini:70b", "latest, 8b, 1b"),
        ("mini:1b-fp8", "Leave the precision out"),
        ("localhost:5000/acme/mini", "localhost:5000 is not a hub"),
        ("acme/mini--x", "vllama catalog list"),
    ],
)
async def test_a_name_that_means_nothing_says_what_would(world, text: str, hint: str):
    store, downloads, puller = world()
    with pytest.raises(PullFailed) as caught:
        await steps(puller, text)
    assert hint in caught.value.hint
    assert (downloads.asked, store.all()) == ([], ())


async def test_what_fits_is_chosen_and_kept_when_it_is_pulled_again(world):
    store, downloads, puller = world(room=WeightRoom(10 * 10**9))
    await steps(puller, "mini:8b")
    roomy = Puller(store, Catalog(FAMILIES), downloads, by_size(ROOMY))
    await steps(roomy, "mini:8b")
    assert {source.location for source in downloads.asked} == {"quant/mini-8b-FP8"}


async def test_a_newer_version_replaces_the_older_one(world):
    store, downloads, puller = world()
    await steps(puller, "acme/mini")
    downloads.commit = "f" * 40
    (downloads.folder / "model.safetensors").write_bytes(safetensors({"w": ("BF16", (7, 7))}))
    assert "removing unused layers" in await steps(puller, "ACME/mini")
    (model,) = store.all()
    assert (model.name.short, model.path.name, model.facts.parameter_count) == ("acme/mini:latest", "f" * 40, 49)
    assert find_snapshot(downloads.state, "acme/mini", COMMIT) is None


async def test_what_can_not_be_served_is_not_kept(world):
    store, downloads, puller = world(config__json={"architectures": ["BertForSequenceClassification"]})
    with pytest.raises(ModelUnusable, match="classifier"):
        await steps(puller, "acme/mini")
    assert store.all() == ()
    assert find_snapshot(downloads.state, "acme/mini", COMMIT) is None


async def test_a_configured_repository_is_fetched_once(world):
    store, downloads, puller = world("models: {mine: {source: acme/mini}, tiny: {source: 'builtin:tinychat'}}\n")
    assert await steps(puller, "mine") == ["pulling manifest", (PART,), "success"]
    assert await steps(puller, "mine") == ["pulling manifest", "success"]
    assert await steps(puller, "tiny") == ["pulling manifest", "success"]
    assert len(downloads.asked) == 1
    assert store.library.all() == {}


@pytest.mark.parametrize("mine", ["mine", "mini:8b"])
async def test_a_configured_name_of_the_catalogue_is_pulled_under_that_name_and_planned_as_configured(world, mine: str):
    store, downloads, _ = world(f"models: {{'{mine}': {{source: 'mini:8b'}}}}\n")
    planned = []

    async def chosen(listing: Listing) -> Offer | None:
        planned.append(listing.name.short.removesuffix(":latest"))
        return choose(listing, WeightRoom(10 * 10**9))

    puller = Puller(store, Catalog(FAMILIES), downloads, chosen)
    assert await steps(puller, mine) == ALL
    assert (planned, downloads.asked) == ([mine], [Source("hub", "quant/mini-8b-FP8")])
    assert store.find(name(mine)) is not None
    assert [*store.library.all()] == [name("mini:8b").key]
    assert "success" in await steps(puller, mine)  # as often as one likes: it looks for a newer version
    assert len(downloads.asked) == 2


async def test_a_configured_model_that_was_created_here_needs_no_pull(world, tmp_path: Path):
    store, downloads, puller = world("models: {mine: {source: coder}}\n")
    store.save(Manifest(name("coder"), Source("directory", str(make_model(tmp_path / "coder")))))
    assert await steps(puller, "mine") == ["pulling manifest", "success"]
    assert downloads.asked == []


@pytest.mark.parametrize(
    "text", ["a/b@c:d", "a@b", "x@sha256:00", "a/b@", "a/b@../x", "a/b@x//y", "a/b@/x", "a/b@x.lock", "a/b@a b"]
)
def test_an_at_sign_elsewhere_is_no_name(text: str):
    assert parse_name(split_revision(text)[0]) is None
