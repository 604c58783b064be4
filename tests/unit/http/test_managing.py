from __future__ import annotations

import hashlib

import pytest

from vllama.errors import PullFailed
from vllama.models.arrival import Part

ZEROS = "sha256:" + "0" * 64


async def test_lists_what_there_is_newest_first(server):
    await server.post("/api/generate", {"model": "tinychat"})
    async with server.session.get(server.base + "/api/tags") as answer:
        names = [m["name"] for m in (await answer.json())["models"]]
    assert names == ["tinychat:latest", "plainchat:latest", "minilm:latest"]
    async with server.session.get(server.base + "/api/ps") as answer:
        (loaded,) = (await answer.json())["models"]
    assert (loaded["name"], loaded["context_length"]) == ("tinychat:latest", 2048)


async def test_shows(server):
    status, body = await server.post("/api/show", {"name": "TINYCHAT"})
    assert (status, body["details"]["family"]) == (200, "qwen3")
    assert await server.post("/api/show", {"model": "x"}) == (404, {"error": "model 'x:latest' not found"})
    assert await server.post("/api/show", {}) == (400, {"error": "model is required"})


async def test_a_pull_of_what_is_there_succeeds(server):
    status, lines = await server.post("/api/pull", {"model": "tinychat"})
    assert (status, lines) == (200, [{"status": "pulling manifest"}, {"status": "success"}])
    assert await server.post("/api/pull", {"model": "tinychat", "stream": False}) == (200, {"status": "success"})


async def test_a_pull_of_anything_else_says_what_to_do(server):
    status, lines = await server.post("/api/pull", {"model": "nobody"})
    assert (status, lines[0]) == (200, {"status": "pulling manifest"})
    assert lines[-1]["error"].startswith("pull model manifest: file does not exist")
    assert (await server.post("/api/pull", {"model": "nobody", "stream": False}))[0] == 500


async def test_a_pull_reports_every_part_as_it_moves(server):
    digest = "ab" * 32
    server.puller.fetched = [Part(digest, 10, done) for done in (0, 4, 10)]
    status, lines = await server.post("/api/pull", {"model": "nobody"})
    line = {"status": f"pulling {digest[:12]}", "digest": f"sha256:{digest}", "total": 10}
    moving = [line, {**line, "completed": 4}, {**line, "completed": 10}]
    assert (status, lines) == (200, [{"status": "pulling manifest"}, *moving, {"status": "success"}])
    assert await server.post("/api/pull", {"model": "nobody", "stream": False}) == (200, {"status": "success"})


@pytest.mark.parametrize(
    ("fetched", "said"),
    [
        ([PullFailed("no", hint="do", code="pull_unknown")], "pull model manifest: file does not exist: no\ndo"),
        ([PullFailed("no route", hint="do")], "pull model manifest: no route\ndo"),
        ([Part("ab" * 32, 10, 1), PullFailed("the disk is full")], "the disk is full"),
    ],
)
async def test_a_pull_that_fails_says_where(server, fetched, said):
    server.puller.fetched = fetched
    status, lines = await server.post("/api/pull", {"model": "nobody"})
    assert (status, lines[0], lines[-1]) == (200, {"status": "pulling manifest"}, {"error": said})
    assert await server.post("/api/pull", {"model": "nobody", "stream": False}) == (500, {"error": said})
    assert server.puller.left == 2


async def test_names_can_be_copied_and_deleted(server):
    assert await server.post("/api/copy", {"source": "TINYCHAT", "destination": "acme/mine:v1"}) == (200, b"")
    assert (await server.post("/api/show", {"model": "ACME/mine:V1"}))[0] == 200
    for status in (200, 404):
        async with server.session.delete(server.base + "/api/delete", json={"model": "acme/mine:v1"}) as answer:
            assert answer.status == status
    assert (await server.post("/api/show", {"model": "tinychat"}))[0] == 200


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/api/pull", {"model": ""}, 400, "invalid model name"),
        ("/api/push", {}, 400, "model is required"),
        ("/api/copy", {"source": "a b", "destination": "x"}, 400, 'source "a b" is invalid'),
        ("/api/copy", {"source": "x", "destination": ""}, 400, 'destination "" is invalid'),
        ("/api/copy", {"source": "x", "destination": "y"}, 404, 'model "x" not found'),
        ("/api/create", {}, 400, "invalid model name"),
        ("/api/create", {"model": "x"}, 400, "neither 'from' or 'files' was specified"),
        ("/api/create", {"model": "x", "files": {"/a": ZEROS}}, 400, "file path must be relative"),
        ("/api/create", {"model": "x", "files": {"a": "md5:0"}}, 400, "invalid digest format"),
        ("/api/blobs/sha256:x", {}, 400, "invalid digest format"),
        ("/api/me", {}, 401, "unauthorized"),
        ("/api/signout", {}, 401, "you are not currently signed in"),
        ("/api/experimental/web_search", {}, 403, "ollama cloud is disabled: web search is unavailable"),
    ],
)
async def test_checks(server, path, body, status, said):
    assert await server.post(path, body) == (status, {"error": said})


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 400, "model is required"),
        ({"model": "a b"}, 400, 'name "a b" is invalid'),
        ({"model": "x"}, 404, "model 'x' not found"),
    ],
)
async def test_deleting_checks(server, body, status, said):
    async with server.session.delete(server.base + "/api/delete", json=body) as answer:
        assert (answer.status, await answer.json()) == (status, {"error": said})


async def test_a_recipe_is_made_of_the_request(server):
    body = {
        "model": "Mine:v1",
        "from": "acme/base@v2",
        "system": "Be kind.",
        "template": "{{ .Prompt }}",
        "license": ["One.", ""],
        "parameters": {"top_k": 3},
        "messages": [{"role": "USER", "content": "Hi"}],
        "adapters": {"a.json": ZEROS},
    }
    status, lines = await server.post("/api/create", body)
    assert (status, lines) == (200, [{"status": "writing manifest"}, {"status": "success"}])
    assert await server.post("/api/create", {**body, "stream": False}) == (200, {"status": "success"})
    recipe = server.creator.recipes[0]
    assert recipe == server.creator.recipes[1]
    assert (recipe.name.short, recipe.base.short) == ("Mine:v1", "acme/base:v2")
    assert (recipe.system, recipe.template, recipe.license) == ("Be kind.", "{{ .Prompt }}", ("One.",))
    assert recipe.messages == ({"role": "user", "content": "Hi"},)
    assert recipe.adapter == {"a.json": "0" * 64}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"template": "{{ .Prompt"}, "template error: template: :1: unclosed action"),
        ({"quantize": "q4_K_M"}, "models are not quantized here"),
        ({"remote_host": "ollama.com"}, "this server forwards to no other"),
        ({"remote_host": "http://"}, "bad remote"),
        ({"remote_host": "host:port"}, "bad remote"),
        ({"remote_host": "ollama.com", "draft_files": {"x": ZEROS}}, "DRAFT cannot be used with remote models"),
        ({"draft_quantize": "q4_0"}, "--draft-quantize requires a DRAFT model"),
        ({"draft_files": {"x": ZEROS}}, "draft models are not served"),
        ({"info": {"model_family": 5}}, 'info field "model_family" must be a string'),
        ({"info": {"context_length": "x"}}, 'info field "context_length" must be a number'),
        ({"info": {"context_length": -1}}, 'info field "context_length" must be a non-negative integer'),
        ({"adapters": {"/x": ZEROS}}, "file path must be relative: /x"),
        ({"adapters": {"x": "sha256:1"}}, "invalid digest format"),
        ({"messages": [{"role": "user", "content": "", "images": ["aGk="]}]}, "stored messages can't hold images"),
        ({"from": "a b"}, "invalid model name"),
        ({"from": None, "files": {}}, "unknown type"),
    ],
)
async def test_what_can_not_be_made_is_refused(server, more, said):
    for stream in (True, False):
        status, body = await server.post("/api/create", {"model": "x", "from": "tinychat", "stream": stream, **more})
        assert (status, body["error"].split("\n")[0]) == (400, said)
    assert server.creator.recipes == []


async def test_there_is_no_registry_to_push_to(server):
    status, lines = await server.post("/api/push", {"model": "tinychat"})
    assert (status, lines[0]) == (200, {"status": "retrieving manifest"})
    assert lines[-1]["error"].startswith("this server pushes to no registry")
    assert (await server.post("/api/push", {"model": "tinychat", "stream": False}))[0] == 500


@pytest.mark.parametrize("name", ["nobody", "a b"])
async def test_what_is_not_there_can_not_be_pushed(server, name):
    _, lines = await server.post("/api/push", {"model": name})
    assert lines == [
        {"status": "retrieving manifest"},
        {"status": "couldn't retrieve manifest"},
        {"error": f"model '{name}' not found"},
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"license": 5}, "license: expected a string or a list of strings"),
        ({"license": ["x", 1]}, "license: expected a string or a list of strings"),
        (
            {"quantize": "q9_Z"},
            "unsupported quantization type Q9_Z - supported types are F32, F16, Q4_K_S, Q4_K_M, Q8_0",
        ),
    ],
)
async def test_what_ollama_notices_only_at_its_work_has_its_status(server, more, said):
    assert await server.post("/api/create", {"model": "x", "from": "tinychat", **more}) == (500, {"error": said})


async def test_a_blob_is_kept_when_it_is_what_it_says(server):
    data = b"some bytes" * 100_000  # more than a JSON body may have
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    assert await server.post(f"/api/blobs/{digest}", data) == (201, b"")
    assert await server.post(f"/api/blobs/{digest}", b"ignored") == (200, b"")
    async with server.session.head(f"{server.base}/api/blobs/{digest}") as answer:
        assert answer.status == 200
    status, body = await server.post(f"/api/blobs/{ZEROS}", b"other")
    reported = f'digest mismatch, expected "{ZEROS}", got "sha256:{hashlib.sha256(b"other").hexdigest()}"'
    assert (status, body) == (400, {"error": reported})


async def test_blobs_are_absent(server):
    for digest, status in ((ZEROS, 404), ("sha256-" + "0" * 64, 404), ("0" * 64, 400)):
        async with server.session.head(f"{server.base}/api/blobs/{digest}") as answer:
            assert answer.status == status
