"""Models of models: what is taken over, what is new, what is refused; nothing half made is left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.models.model_files import CONFIG, make_model, safetensors
from vllama.config.load import load_config
from vllama.errors import BadRequest, ModelUnusable, NotFound, PullFailed
from vllama.models.adapter import read_adapter
from vllama.models.create import Creator, Recipe
from vllama.models.manifest import Manifest
from vllama.models.model import Model
from vllama.models.names import ModelName, parse_name
from vllama.models.sources import Source
from vllama.models.store import ModelStore
from vllama.service.stock import open_store

LORA = safetensors({"base_model.model.layers.0.q_proj.lora_A.weight": ("F32", (4, 8))})


def name(text: str) -> ModelName:
    found = parse_name(text)
    assert found is not None
    return found


class ScriptedPuller:
    """Brings ``elsewhere``, which is the directory ``place``; nothing else."""

    def __init__(self, store: ModelStore, place: Path) -> None:
        self.store, self.place = store, place

    async def pull(self, wanted: ModelName, revision: str = "") -> AsyncGenerator[str]:
        yield "pulling manifest"
        if wanted.model != "elsewhere":
            raise PullFailed("file does not exist")
        self.store.save(Manifest(wanted, Source("directory", str(self.place))))
        yield "success"


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = folder / "vllama.yaml"
        config.write_text(
            "models: {tiny: {source: 'builtin:tinychat', system: Be kind., parameters: {top_k: 3, stop: [a]}}}\n"
        )
        loaded = load_config(config, environ={"HOME": "/", "VLLAMA_STATE_DIR": str(folder / "state")})
        self.store = open_store(loaded)
        puller = ScriptedPuller(self.store, make_model(folder / "elsewhere"))
        self.creator = Creator(self.store, puller.pull)

    async def create(self, text: str, base: str = "", **more: Any) -> list[str]:
        recipe = Recipe(name(text), name(base) if base else None, **more)
        return [step async for step in self.creator.create(recipe)]

    def blob(self, data: bytes) -> str:
        digest = hashlib.sha256(data).hexdigest()
        with self.creator.blobs.upload(digest) as upload:
            upload.write(data)
            upload.finish(digest)
        return digest

    def uploaded(self, place: Path) -> dict[str, str]:
        return {path.name: self.blob(path.read_bytes()) for path in place.iterdir()}

    def adapter(self, weights: bytes = LORA, **config: Any) -> dict[str, str]:
        settings = {"peft_type": "LORA", "r": 4, **config}
        files = {"adapter_config.json": json.dumps(settings).encode(), "adapter_model.safetensors": weights}
        return {file: self.blob(data) for file, data in files.items()}

    def model(self, text: str) -> Model:
        found = self.store.find(name(text))
        assert found is not None
        return found

    def left(self) -> list[Path]:
        """Directories of uploaded files."""
        return list((self.folder / "state/models/files").glob("*"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_a_derived_model_shares_the_base_and_adds_to_it(world: World):
    steps = await world.create("pirate", "TINY", system="Say Arr.", parameters={"stop": ["b"], "top_p": 0.5})
    assert steps[-2:] == ["writing manifest", "success"]
    tiny, pirate = world.model("tiny"), world.model("pirate")
    assert steps[0] == f"using existing layer sha256:{tiny.digest}"
    assert (pirate.engine_key, pirate.parent) == (tiny.engine_key, "tiny:latest")
    assert (pirate.system, pirate.parameters) == ("Say Arr.", {"top_k": 3, "stop": ["b"], "top_p": 0.5})
    assert pirate.digest != tiny.digest


async def test_what_is_not_said_is_taken_over_from_the_base(world: World):
    turns = ({"role": "user", "content": "Hi"},)
    await world.create("one", "tiny", template="{{ .Prompt }}", messages=turns, license=("Free.",))
    await world.create("two", "one", parameters={"top_k": 9})
    one, two = world.model("one"), world.model("two")
    assert (two.system, two.template, two.messages, two.license) == (one.system, one.template, turns, ("Free.",))
    assert two.parent == "one:latest"


async def test_the_layers_that_the_base_has_are_used_and_the_others_are_new(world: World):
    steps = await world.create("one", "tiny", license=("Free.",))
    words = [step.rpartition(" sha256:")[0] for step in steps if "sha256:" in step]
    assert sorted(words) == ["creating new layer", *["using existing layer"] * 3]


async def test_a_model_may_be_made_of_itself_and_keeps_its_spelling(world: World):
    await world.create("Own", "tiny", system="first")
    await world.create("OWN", "own", parameters={"top_k": 1})
    own = world.model("own")
    assert (own.name.model, own.system, own.parameters["top_k"]) == ("Own", "first", 1)


async def test_the_chat_template_of_the_files_taken_back_is_no_template_of_its_own(world: World):
    await world.create("same", "tiny", template=(world.model("tiny").facts.chat_template or "") + "\n")
    assert world.model("same").template == ""


@pytest.mark.parametrize("text", ['{% for m in messages %}{{ m["content"] }}{% endfor %}', "{{ .Prompt"])
async def test_a_template_that_is_no_go_template_is_refused_and_nothing_is_stored(world: World, text: str):
    with pytest.raises(BadRequest, match="template error: template: :1: ") as refused:
        await world.create("x", "tiny", template=text)
    assert ("Jinja" in refused.value.hint) == ("{%" in text)
    assert world.store.library.all() == {}
    await world.create("again", "tiny", template="{{ .Prompt }}")


async def test_a_base_that_is_not_here_is_pulled_first(world: World):
    steps = await world.create("mine", "elsewhere", system="x")
    assert steps[0] == "pulling manifest"
    assert steps.count("success") == 1
    assert world.model("mine").parent == "elsewhere:latest"
    with pytest.raises(PullFailed, match="file does not exist"):
        await world.create("other", "nowhere")


async def test_a_configured_name_is_not_overwritten(world: World):
    with pytest.raises(BadRequest, match="is defined in the configuration"):
        await world.create("TINY", "elsewhere")
    assert world.store.find(name("elsewhere")) is None


async def test_uploaded_files_become_a_model(world: World, tmp_path: Path):
    files = world.uploaded(make_model(tmp_path / "m"))
    steps = await world.create("mine", files=files)
    assert steps[0] == "converting model"
    mine = world.model("mine")
    assert (mine.facts.parameter_count, mine.parent) == (100, "")
    await world.create("derived", "mine", system="x")
    assert world.model("derived").engine_key == mine.engine_key
    world.store.remove(name("mine"))
    assert world.model("derived").path.is_dir()
    world.store.remove(name("derived"))
    assert world.left() == []


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ({"tokenizer__json": None}, "there is no tokenizer"),
        ({"model__safetensors": b"12345"}, "model.safetensors is empty or truncated"),
        ({"config__json": b"{"}, "config.json is not valid JSON"),
        ({"model__safetensors": None}, "unknown type"),
        ({"x__gguf": b"GGUF3..."}, "GGUF files need a plugin"),
        ({"x__gguf": b"nothing"}, "supplied file was not in GGUF format"),
    ],
)
async def test_files_that_can_not_be_served_are_refused_and_not_kept(
    world: World, tmp_path: Path, contents: dict[str, Any], said: str
):
    with pytest.raises(BadRequest) as caught:
        await world.create("mine", files=world.uploaded(make_model(tmp_path / "m", **contents)))
    assert said in caught.value.message
    assert str(tmp_path) not in caught.value.message
    assert world.store.find(name("mine")) is None
    assert world.left() == []


async def test_a_blob_that_is_not_there_is_reported(world: World):
    with pytest.raises(NotFound, match='blob "sha256:0000') as caught:
        await world.create("mine", files={"model.safetensors": "0" * 64})
    assert caught.value.http_status == 500  # as from Ollama, which meets it while it converts
    with pytest.raises(BadRequest, match="unknown type"):
        await world.create("mine", files={"model.bin": "0" * 64})


async def test_files_of_no_known_kind_are_refused_before_any_progress(world: World):
    steps = world.creator.create(Recipe(name("mine"), files={"readme": world.blob(b"hello")}))
    with pytest.raises(BadRequest, match="unknown type"):
        await anext(steps)


async def test_an_adapter_is_kept_next_to_its_base(world: World):
    steps = await world.create("tuned", "tiny", adapter=world.adapter())
    assert "converting adapter" in steps
    (place,) = world.left()
    tuned = world.model("tuned")
    assert tuned.adapter == read_adapter(place)
    assert tuned.adapter.rank == 4
    await world.create("nicer", "tuned", system="x")
    world.store.remove(name("tuned"))
    assert place.is_dir()
    with pytest.raises(BadRequest, match="only one adapter"):
        await world.create("both", "nicer", adapter=world.adapter())
    world.store.remove(name("nicer"))
    assert world.left() == []


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "IA3"}, "of the kind IA3"),
        ({"r": 0}, "rank must be between 1 and 512, not 0"),
        ({"r": "8"}, "rank must be"),
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"weights": safetensors({"w": ("F32", (2,))})}, "holds no LoRA weights"),
        ({"weights": b"12345"}, "empty or truncated"),
        ({"weights": b"GGUF...."}, "GGUF adapters"),
    ],
)
async def test_an_adapter_that_vllm_can_not_load_is_refused(world: World, config: dict[str, Any], said: str):
    with pytest.raises(BadRequest, match=said):
        await world.create("tuned", "tiny", adapter=world.adapter(**config))
    assert world.left() == []
    assert world.store.find(name("tuned")) is None


async def test_every_model_of_a_base_knows_how_much_room_adapters_need(world: World):
    assert world.model("tiny").lora_rank == 0
    await world.create("tuned", "tiny", adapter=world.adapter())
    await world.create("more", "tiny", adapter=world.adapter(r=64))
    await world.create("twin", "more", system="x")
    for text in ("tiny", "tuned", "twin"):
        assert (world.model(text).lora_rank, world.model(text).lora_count) == (64, 2)
        assert world.model(text).engine_key == world.model("tiny").engine_key
    world.store.remove(name("more"))
    world.store.remove(name("twin"))
    assert (world.model("tiny").lora_rank, world.model("tiny").lora_count) == (4, 1)


async def test_an_adapter_needs_a_base_that_writes(world: World, tmp_path: Path):
    embedder = make_model(tmp_path / "e", config__json={**CONFIG, "architectures": ["BertModel"], "model_type": "bert"})
    world.store.save(Manifest(name("embedder"), Source("directory", str(embedder))))
    with pytest.raises(BadRequest, match="a base that generates text"):
        await world.create("tuned", "embedder", adapter=world.adapter())


@pytest.mark.parametrize("files", [{}, {"adapter_config.json": b"{"}, {"adapter_config.json": b"[]"}])
def test_a_directory_that_is_no_adapter(tmp_path: Path, files: dict[str, bytes]):
    for file, data in files.items():
        (tmp_path / file).write_bytes(data)
    with pytest.raises(ModelUnusable, match=r"adapter_config\.json"):
        read_adapter(tmp_path)
