"""Every error has two readers: a client, who never sees a path of the server's disk, and the log."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import vllama
from vllama.errors import NoRoomYet, VllamaError, without_paths
from vllama.http.faults import message_of, refusal_response

PLACE = Path("/var/lib/vllama/models/hub/models--org--mini/snapshots/0123abcd")
WHOLE = re.compile(r"(?<![\w./<:])/[^\s/]+/[^\s]*")
"""An absolute path, as anybody would look for one."""


def leaves() -> list[type[VllamaError]]:
    """Every error of ours, wherever it is defined."""
    for module in pkgutil.walk_packages(vllama.__path__, "vllama."):
        if not module.name.endswith(("__main__", "install.ask", "download.child")):
            importlib.import_module(module.name)
    found, todo = [], [VllamaError]
    while todo:
        kind = todo.pop()
        found.append(kind)
        todo += kind.__subclasses__()
    return sorted(set(found), key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def made(kind: type[VllamaError], message: str, **more: Any) -> VllamaError:
    """One of them; what a leaf asks for besides a message has nothing to do with paths."""
    if kind is NoRoomYet:
        more["missing"] = 1
    if "streamed" in inspect.signature(kind).parameters:
        more["streamed"] = False
    taken = inspect.signature(kind).parameters
    return kind(message, **{key: value for key, value in more.items() if key in taken})


@pytest.mark.parametrize("kind", leaves(), ids=lambda kind: kind.__name__)
def test_no_leaf_ever_shows_a_client_a_path_of_the_disk(kind: type[VllamaError]):
    text = f"{PLACE}/config.json can't be read: [Errno 13] Permission denied: '{PLACE}/config.json'"
    error = made(kind, text, hint=f"Run: sudo chown -R vllama: {PLACE}", where=PLACE)
    for shown in (error.message, error.hint, message_of(error)):
        assert str(PLACE.parent) not in shown
        assert WHOLE.search(shown) is None
    for path in ("/api/chat", "/v1/chat/completions", "/v1/messages"):
        body = refusal_response(path, error).body
        assert isinstance(body, bytes)
        assert str(PLACE.parent).encode() not in body
    assert "config.json can't be read" in error.message
    assert str(PLACE) in str(error)  # the log still says where


def test_the_log_and_the_local_command_read_where_it_was():
    error = VllamaError("there is no tokenizer", where=PLACE, hint="Copy it.", advice=f"Copy it to {PLACE}.")
    assert (error.message, error.hint) == ("there is no tokenizer", "Copy it.")
    assert (error.detail, error.advice) == (f"{PLACE}: there is no tokenizer", f"Copy it to {PLACE}.")


def test_what_the_client_wrote_itself_is_quoted_as_it_is():
    assert VllamaError("file path must be relative: ", quoted="/etc/passwd").message.endswith(" /etc/passwd")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/etc/vllama.yaml:12: no such key", "vllama.yaml:12: no such key"),
        ("can't open '/var/lib/x y/z'", "can't open 'x y/z'"),
        ("at file:///opt/model/x.bin", "at x.bin"),
        ("no room on /data", "no room on data"),
        ("error:/srv/m/config.json", "error:config.json"),
        ('a (/a/b/c), [/d/e] and "/f/g"', 'a (c), [e] and "g"'),
        # these are no paths of the disk
        ("see https://huggingface.co/org/name", "see https://huggingface.co/org/name"),
        ("POST /api/chat or /v1/chat/completions", "POST /api/chat or /v1/chat/completions"),
        ("and/or 24 GB/s, N/A", "and/or 24 GB/s, N/A"),
        ("</think> org/name@refs/pr/3 /bye", "</think> org/name@refs/pr/3 /bye"),
    ],
)
def test_paths_and_what_only_looks_like_one(text: str, shown: str):
    assert without_paths(text) == shown


PARTS = st.text(st.characters(categories=["L", "Nd"], include_characters="._-"), min_size=1).filter(
    lambda text: text not in {"api", "v1"}
)


@given(
    st.text(max_size=20), st.lists(PARTS, min_size=2, max_size=5), st.sampled_from(["", " ", "'", '"', ":", ")", "\n"])
)
def test_whatever_stands_around_a_path_it_does_not_get_out(before: str, parts: list[str], after: str):
    path = "/" + "/".join(parts)
    shown = without_paths(f"{before} {path}{after}")
    assert f" {path}" not in shown
    assert without_paths(shown) == shown
