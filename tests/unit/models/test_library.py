"""Names that come and go: what is on disk afterwards, whatever happened in between."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.models.model_files import make_model
from tests.users import as_ordinary_user
from vllama.errors import ModelUnusable, NotFound, StoreFailed
from vllama.models.blobs import is_relative, read_digest
from vllama.models.library import Library
from vllama.models.manifest import Manifest, file_name, model_digest, read_manifest, write_manifest
from vllama.models.names import ModelName, parse_name
from vllama.models.snapshots import find_snapshot, hub_cache, remove_snapshot, repository_home
from vllama.models.sources import Source

OLD, NEW = "0" * 40, "1" * 40
NAME = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}", fullmatch=True)
HOST = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}", fullmatch=True)
SPACE = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}", fullmatch=True)
NAMES = st.builds(ModelName, HOST, SPACE, NAME, NAME)


def name(text: str) -> ModelName:
    found = parse_name(text)
    assert found is not None
    return found


def fetched(state: Path, commit: str, *files: str, ref: str = "main") -> Source:
    """A commit of org/mini in the hub's cache; a file's content is its name."""
    home = repository_home(state, "org/mini")
    snapshot = home / "snapshots" / commit
    for folder in (snapshot, home / "blobs", home / "refs"):
        folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        blob = home / "blobs" / hashlib.sha256(file.encode()).hexdigest()
        blob.write_text(file)
        (snapshot / file).symlink_to(Path("../../blobs") / blob.name)
    (home / "refs" / ref).write_text(commit)
    return Source("hub", "org/mini", commit)


def contents(state: Path) -> list[str]:
    """What the fetched blobs hold."""
    return sorted(blob.read_text() for blob in hub_cache(state).glob("*/blobs/*"))


@given(NAMES)
def test_every_legal_name_has_a_file_name_of_its_own_below_the_folder(model: ModelName):
    found = file_name(model)
    assert "/" not in found
    assert not found.startswith(".")
    assert len(found.encode()) < 255
    assert file_name(replace(model, tag=model.tag.swapcase())) == found
    assert file_name(replace(model, namespace="other")) != found or model.namespace.casefold() == "other"


@given(
    NAMES,
    st.text(),
    st.dictionaries(st.text(min_size=1), st.integers(0, 9) | st.text() | st.lists(st.text())),
    st.lists(st.fixed_dictionaries({"role": st.text(), "content": st.text()})),
)
def test_a_manifest_is_read_as_it_was_written(model: ModelName, text: str, parameters: dict, messages: list):
    manifest = Manifest(
        model,
        Source("hub", "org/mini", OLD),
        revision="v1",
        parent="base:latest",
        system=text,
        template=text,
        license=(text,),
        parameters=parameters,
        messages=tuple(messages),
        tool_parser="hermes",
    )
    assert read_manifest(write_manifest(manifest)) == manifest


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b'{"version": 9}', b'{"version": 1, "name": "../x", "source": "org/n"}',
             b'{"version": 1, "name": "x", "source": "files:../../etc"}', b'{"version": 1, "name": 3, "source": 4}'],
)  # fmt: skip
def test_what_is_no_manifest_is_refused(data: bytes):
    with pytest.raises(ModelUnusable):
        read_manifest(data)


def test_a_digest_is_that_of_the_files_until_something_is_added():
    assert model_digest("a" * 64, {}) == "a" * 64
    first, second = (model_digest("a" * 64, {"system": text}) for text in ("x", "y"))
    assert len({"a" * 64, first, second}) == 3
    assert len(first) == 64


def test_names_are_there_after_a_restart(tmp_path: Path):
    manifest = Manifest(name("Mini:q4"), Source("directory", "/m"), system="Hi.")
    Library(tmp_path).put(manifest, ())
    assert Library(tmp_path).find(name("mini:Q4")) == manifest


def test_a_broken_manifest_is_left_out_and_the_others_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    library = Library(tmp_path)
    for word in ("good", "bad", "moved"):
        library.put(Manifest(name(word), Source("directory", "/m")), ())
    (tmp_path / "manifests" / file_name(name("bad"))).write_text('{"version": 1, "na')
    (tmp_path / "manifests" / file_name(name("moved"))).rename(tmp_path / "manifests" / file_name(name("elsewhere")))
    assert list(Library(tmp_path).all()) == [name("good").key]
    assert "is left out" in caplog.text


def test_removing_the_last_name_deletes_the_files(tmp_path: Path):
    source = fetched(tmp_path, OLD, "config", "weights")
    library = Library(tmp_path)
    for word in ("one", "two"):
        library.put(Manifest(name(word), source), ())
    assert library.remove(name("ONE"), ())
    assert contents(tmp_path) == ["config", "weights"]
    assert library.remove(name("two"), ())
    assert not repository_home(tmp_path, "org/mini").exists()
    assert not library.remove(name("two"), ())
    assert list((tmp_path / "manifests").iterdir()) == []


def test_files_that_the_configuration_needs_stay(tmp_path: Path):
    source = fetched(tmp_path, OLD, "weights")
    library = Library(tmp_path)
    library.put(Manifest(name("one"), source), ())
    library.remove(name("one"), {source})
    assert contents(tmp_path) == ["weights"]


def test_a_newer_version_takes_the_place_of_the_older_one_and_shared_files_stay(tmp_path: Path):
    library = Library(tmp_path)
    assert not library.put(Manifest(name("one"), fetched(tmp_path, OLD, "config", "old weights")), ())
    assert library.put(Manifest(name("one"), fetched(tmp_path, NEW, "config", "new weights")), ())
    assert contents(tmp_path) == ["config", "new weights"]
    assert find_snapshot(tmp_path, "org/mini") == repository_home(tmp_path, "org/mini") / "snapshots" / NEW


def test_a_directory_is_never_touched(tmp_path: Path):
    place = make_model(tmp_path / "mine")
    library = Library(tmp_path / "state")
    library.put(Manifest(name("one"), Source("directory", str(place))), ())
    library.remove(name("one"), ())
    assert (place / "model.safetensors").exists()


def test_a_deletion_that_was_broken_off_is_finished_at_the_next_start(tmp_path: Path):
    source = fetched(tmp_path, OLD, "config", "weights")
    library = Library(tmp_path)
    library.put(Manifest(name("one"), source), ())
    place = tmp_path / "manifests" / file_name(name("one"))
    place.rename(place.with_name(f"{place.name}.abcd.gone"))  # killed after the first step
    (repository_home(tmp_path, "org/mini") / "blobs" / hashlib.sha256(b"config").hexdigest()).unlink()
    again = Library(tmp_path)
    assert again.all() == {}
    again.sweep(())
    assert not repository_home(tmp_path, "org/mini").exists()
    assert list((tmp_path / "manifests").iterdir()) == []


def test_a_replacement_that_was_broken_off_leaves_the_old_model_whole(tmp_path: Path):
    library = Library(tmp_path)
    library.put(Manifest(name("one"), fetched(tmp_path, OLD, "weights")), ())
    place = tmp_path / "manifests" / file_name(name("one"))
    place.with_name(f"{place.name}.abcd.gone").hardlink_to(place)
    place.with_name(f"{place.name}.new").write_text("{")
    again = Library(tmp_path)
    again.sweep(())
    assert [path.name for path in (tmp_path / "manifests").iterdir()] == [place.name]
    assert contents(tmp_path) == ["weights"]


def test_halves_are_swept_when_nobody_went_on_fetching_them(tmp_path: Path):
    fetched(tmp_path, OLD, "weights")
    blobs = repository_home(tmp_path, "org/mini") / "blobs"
    for word, days in (("fresh", 1), ("stale", 30)):
        half = blobs / f"{word}.incomplete"
        half.write_text(word)
        os.utime(half, (time.time() - days * 86400,) * 2)
    Library(tmp_path).sweep(())
    assert contents(tmp_path) == ["fresh", "weights"]


def test_a_store_that_can_not_be_written_changes_nothing(tmp_path: Path):
    (tmp_path / "manifests").touch()
    library = Library(tmp_path)
    with pytest.raises(StoreFailed, match="can't be written"):
        library.put(Manifest(name("one"), Source("directory", "/m")), ())
    assert library.all() == {}


@pytest.mark.parametrize("commit", ["", "..", "../../..", "main"])
def test_only_a_commit_can_be_removed(tmp_path: Path, commit: str):
    fetched(tmp_path, OLD, "weights")
    remove_snapshot(tmp_path, "org/mini", commit)
    assert contents(tmp_path) == ["weights"]


def blob(library: Library, data: bytes) -> str:
    digest = hashlib.sha256(data).hexdigest()
    with library.blobs.upload(digest) as upload:
        upload.write(data)
        assert upload.finish(digest) == digest
    return digest


def test_an_upload_is_kept_only_when_it_is_what_it_says(tmp_path: Path):
    library = Library(tmp_path)
    with library.blobs.upload("0" * 64) as upload:
        upload.write(b"some")
        assert upload.finish("0" * 64) == hashlib.sha256(b"some").hexdigest()
    assert list((tmp_path / "blobs").iterdir()) == []
    assert library.blobs.has(blob(library, b"some"))


def test_uploaded_files_are_laid_out_once_and_go_with_their_last_model(tmp_path: Path):
    library = Library(tmp_path)
    files = {"config.json": blob(library, b"{}"), "1_Pooling/config.json": blob(library, b"[]")}
    identity = library.blobs.lay_out(files)
    assert library.blobs.lay_out(files) == identity
    assert (library.blobs.directory(identity) / "1_Pooling/config.json").read_bytes() == b"[]"
    unused = blob(library, b"unused")
    library.put(Manifest(name("one"), Source("files", identity)), ())
    library.sweep(())
    assert not library.blobs.has(unused)
    assert all(library.blobs.has(digest) for digest in files.values())
    library.remove(name("one"), ())
    assert not library.blobs.directory(identity).exists()
    assert list((tmp_path / "blobs").iterdir()) == []


def test_a_layout_without_one_of_its_blobs_leaves_nothing(tmp_path: Path):
    library = Library(tmp_path)
    with pytest.raises(NotFound, match='blob "sha256:0000'):
        library.blobs.lay_out({"a": blob(library, b"a"), "b": "0" * 64})
    assert list((tmp_path / "models/files").iterdir()) == []


@given(st.text(alphabet="./a\0", max_size=8))
def test_a_relative_name_stays_in_its_directory(text: str):
    if is_relative(text):
        inside = os.path.normpath(f"/base/{text}")
        assert inside.startswith("/base/")
        assert inside == f"/base/{text}"


def test_digests_are_read_in_both_spellings():
    assert read_digest("sha256-" + "A" * 64) == read_digest("sha256:" + "a" * 64) == "a" * 64
    assert [read_digest(text) for text in ("", "sha256:", "md5:" + "0" * 32, "sha256:" + "g" * 64, "0" * 64)] == [
        None
    ] * 5


def test_a_store_that_the_user_may_not_read_is_no_empty_store(tmp_path: Path):
    (tmp_path / "manifests").mkdir()
    (tmp_path / "manifests").chmod(0)
    with as_ordinary_user(), pytest.raises(StoreFailed, match="can't be read: permission denied") as caught:
        Library(tmp_path)
    assert "sudo" in caught.value.hint
    (tmp_path / "manifests").chmod(0o700)
