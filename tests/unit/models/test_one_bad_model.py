"""One bad model is one bad model: whatever is wrong with its files, the others are served and the service starts."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.models.model_files import CONFIG, make_model, safetensors
from vllama.config.load import Loaded, load_config
from vllama.errors import ConfigError, ModelUnusable
from vllama.jsontext import encode
from vllama.models import listing
from vllama.models.contents import Contents, FolderReader
from vllama.models.library import Library
from vllama.models.manifest import Manifest, file_name, write_manifest
from vllama.models.names import ModelName, parse_name
from vllama.models.shelf import Judge, Shelf
from vllama.models.sources import Source
from vllama.models.store import ModelStore
from vllama.service.stock import open_store

FILES: dict[str, Any] = {
    "config.json": {
        **CONFIG,
        "layer_types": ["full_attention", "sliding_attention"],
        "sliding_window": 64,
        "quantization_config": {"quant_method": "fp8"},
        "rope_scaling": {"factor": 2.0},
        "text_config": {"hidden_size": 32},
    },
    "tokenizer.json": {
        "model": {"type": "BPE", "vocab": {"a": 0}},
        "added_tokens": [{"id": 1, "content": "<|im_end|>"}],
    },
    "tokenizer_config.json": {"chat_template": "{{ messages }}", "added_tokens_decoder": {"1": {"content": "</s>"}}},
    "generation_config.json": {"eos_token_id": [1, 2]},
    "special_tokens_map.json": {"eos_token": "</s>"},
    "modules.json": [{"type": "sentence_transformers.models.Pooling", "path": "1_Pooling"}],
    "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
    "sentence_bert_config.json": {"max_seq_length": 512},
    "model.safetensors.index.json": {"metadata": {}, "weight_map": {"w": "model.safetensors"}},
    "model.safetensors": safetensors({"w": ("BF16", (10, 10))}),
    "chat_template.jinja": b"{{ messages }}",
    "LICENSE": b"Free.",
}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def inside(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All places of a JSON value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place, *(found for key, inner in steps for found in inside(inner, (*place, key)))]


def replaced(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copied = dict(value) if isinstance(value, dict) else list(value)
    copied[place[0]] = replaced(value[place[0]], place[1:], new)
    return copied


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, bytes]:
    """A file of a model: garbage, or its JSON with any value in any place."""
    file = draw(st.sampled_from(sorted(FILES)))
    good = FILES[file]
    if isinstance(good, bytes) or draw(st.booleans()):
        data = good if isinstance(good, bytes) else json.dumps(good).encode()
        cut = draw(st.integers(0, len(data)))
        return file, draw(st.binary(max_size=200) | st.just(data[:cut]) | st.just(data[:cut] + b"\0\xff" + data[cut:]))
    place = draw(st.sampled_from(inside(good)))
    return file, json.dumps(replaced(good, place, draw(ANY_JSON | st.just([[1]]) | st.just("a\0b")))).encode()


def named(text: str) -> ModelName:
    found = parse_name(text)
    assert found is not None
    return found


def configured(folder: Path, text: str = "") -> Loaded:
    path = folder / "vllama.yaml"
    path.write_text(text)
    return load_config(path, environ={"HOME": "/", "VLLAMA_STATE_DIR": str(folder / "state")})


def check_served(store: ModelStore) -> None:
    """``good`` is there, and everything can be listed; ``bad`` is a model or has a problem."""
    assert store.find(named("good")) is not None
    for model in store.all():
        encode(listing.tag(model, 0))
        encode(listing.shown(model, 0, verbose=True))
    bad = store.problem(named("bad"))
    assert (store.find(named("bad")) is None) == (bad is not None)
    assert bad is None or bad.message


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(spoilt())
def test_any_file_of_a_model_may_be_garbage(tmp_path: Path, found: tuple[str, bytes]):
    file, data = found
    make_model(tmp_path / "good")
    make_model(tmp_path / "bad", **{**FILES, file: data})
    loaded = configured(tmp_path)
    check_served(open_store(loaded, {"bad": str(tmp_path / "bad"), "good": str(tmp_path / "good")}))


MANIFEST = json.loads(write_manifest(Manifest(named("bad"), Source("builtin", "tinychat"), template="{{ .Prompt }}")))
FULL = MANIFEST | {
    "license": ["Free."],
    "parameters": {"top_k": 1},
    "messages": [{"role": "user", "content": "Hi"}],
    "adapter": "0" * 64,
    "parent": "x",
    "system": "y",
}


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_manifest_may_be_garbage(tmp_path: Path, data: st.DataObject):
    value = FULL if data.draw(st.booleans()) else MANIFEST
    place = data.draw(st.sampled_from(inside(value)))
    new = data.draw(ANY_JSON | st.just('{{ m "x" }}') | st.just("~nobody/x") | st.just("/a\0b"))
    text = json.dumps(replaced(value, place, new)).encode()
    if data.draw(st.booleans()):
        text = text[: data.draw(st.integers(0, len(text)))]
    folder = tmp_path / "state" / "manifests"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / file_name(named("bad"))).write_bytes(text)
    make_model(tmp_path / "good")
    store = open_store(configured(tmp_path), {"good": str(tmp_path / "good")})
    store.sweep()
    check_served(store)
    assert store.remove(named("bad"))
    assert store.problem(named("bad")) is None
    assert open_store(configured(tmp_path)).problem(named("bad")) is None


ERRORS: tuple[Exception, ...] = (
    *(KeyError("layers"), IndexError(), TypeError("unhashable"), ValueError("embedded null byte"), AttributeError()),
    *(OverflowError(), ZeroDivisionError(), RecursionError(), MemoryError(), AssertionError(), StopIteration()),
    *(OSError(5, "Input/output error"), TimeoutError(), UnicodeError(), RuntimeError(), EOFError(), BufferError()),
    *(ConfigError("wrong"), ModelUnusable("broken"), ExceptionGroup("two", [KeyError(), TypeError()])),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_whatever_a_model_raises_is_its_own_problem(tmp_path: Path, error: Exception):
    class Spoilt(FolderReader):
        def read(self, path: Path) -> Contents:
            if path.name == "bad":
                raise error
            return super().read(path)

    loaded = configured(tmp_path)
    shelf = Shelf(Library(loaded.state), loaded.state, Spoilt())
    for word in ("bad", "good"):
        make_model(tmp_path / word)
    check_served(open_store(loaded, {word: str(tmp_path / word) for word in ("bad", "good")}, shelf))


class Hanging(FolderReader):
    """Reads of ``stuck`` do not return before ``free`` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.free = threading.Event()

    def read(self, path: Path) -> Contents:
        if path.name == "stuck":
            self.free.wait()
        return super().read(path)


@pytest.fixture
def hanging():
    reader = Hanging()
    yield reader
    reader.free.set()


def test_a_file_system_that_does_not_answer_costs_the_others_nothing(tmp_path: Path, hanging: Hanging):
    loaded = configured(tmp_path)
    shelf = Shelf(Library(loaded.state), loaded.state, hanging, patience=0.05)
    places = {word: str(make_model(tmp_path / word)) for word in ("stuck", "good")}
    store = open_store(loaded, places, shelf)
    problem = store.problem(named("stuck"))
    assert problem is not None
    assert "does not answer" in problem.message
    store.copy(named("good"), named("twin"))
    store.refresh()
    assert {model.name.model for model in store.all()} == {"good", "twin"}
    hung = [thread for thread in threading.enumerate() if thread.name == "read"]
    assert len(hung) == 1, "it is not asked again while it hangs"
    hanging.free.set()
    for thread in hung:
        thread.join()
    assert {model.name.model for model in store.all()} == {"good", "twin", "stuck"}


def test_who_asks_for_a_model_never_waits_for_a_change(tmp_path: Path, hanging: Hanging):
    loaded = configured(tmp_path)
    shelf = Shelf(Library(loaded.state), loaded.state, hanging)
    store = open_store(loaded, {"good": str(make_model(tmp_path / "good"))}, shelf)
    stuck = Manifest(named("stuck"), Source("directory", str(make_model(tmp_path / "stuck"))))
    saving = threading.Thread(target=store.save, args=(stuck,))
    saving.start()
    assert store.find(named("good")) is not None
    assert store.find(named("stuck")) is None
    store.copy(named("good"), named("twin"))
    assert store.find(named("twin")) is not None
    hanging.free.set()
    saving.join()
    assert store.find(named("stuck")) is not None


def test_a_read_that_ends_while_it_is_given_up_counts_or_is_late(tmp_path: Path):
    late = threading.Event()
    first, second = threading.Event(), threading.Event()

    def slow(gate: threading.Event) -> Callable[[], Any]:
        def read() -> Any:
            gate.wait()
            raise ModelUnusable("read after all")

        return read

    judge = Judge(late.set, 0.0)
    verdicts = judge.judge({"a": slow(first), "b": slow(second)})
    assert {key: str(verdict) for key, verdict in verdicts.items()} == dict.fromkeys("ab", str(verdicts["a"]))
    first.set()
    second.set()
    late.wait()


def test_what_is_stored_is_built_first(tmp_path: Path):
    store = open_store(configured(tmp_path, "models: {tiny: {source: 'builtin:tinychat'}}\n"))
    with pytest.raises(ModelUnusable, match="TEMPLATE can't be used"):
        store.save(Manifest(named("x"), Source("builtin", "tinychat"), template='{{ m "x" }}'))
    assert store.library.all() == {}
    assert list((tmp_path / "state").rglob("*.json")) == []
