from __future__ import annotations

import math

import orjson
import pytest

from tests.unit.http.scripted import EMBED, Reply, error

ASK = {"model": "minilm", "input": ["a", "b"]}


@pytest.fixture(autouse=True)
def vectors(server):
    rows = [{"index": 1, "embedding": [0.0, 1.0]}, {"index": 0, "embedding": [3.0, 4.0]}]
    answer = {"data": rows, "usage": {"prompt_tokens": 7}}
    server.engine.replies[EMBED] = [Reply(parts=[orjson.dumps(answer)])]


async def test_vectors_have_length_one_in_the_order_of_their_inputs(server):
    _, body = await server.post("/api/embed", ASK)
    assert list(body) == ["model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"]
    assert body["embeddings"] == [[0.6, 0.8], [0, 1]]
    assert body["prompt_eval_count"] == 7
    assert server.engine.bodies(EMBED)[0] == {"model": "minilm", "input": ["a", "b"], "truncate_prompt_tokens": -1}


@pytest.mark.parametrize(("dimensions", "length"), [(1, 1), (2, 2), (100, 2), (-1, 2), (0, 2)])
async def test_dimensions_cut_and_make_length_one_again(server, dimensions, length):
    _, body = await server.post("/api/embed", {**ASK, "dimensions": dimensions})
    assert len(body["embeddings"][0]) == length
    assert math.hypot(*body["embeddings"][0]) == pytest.approx(1)


@pytest.mark.parametrize("nothing", ["", [], None])
async def test_no_input_only_loads(server, nothing):
    assert await server.post("/api/embed", {"model": "minilm", "input": nothing}) == (
        200,
        {"model": "minilm", "embeddings": []},
    )
    assert server.engine.requests == []


async def test_the_older_endpoint_gives_one_vector_as_it_comes(server):
    assert (await server.post("/api/embeddings", {"model": "minilm", "prompt": "a"}))[1] == {"embedding": [3, 4]}
    assert (await server.post("/api/embeddings", {"model": "minilm"}))[1] == {"embedding": []}


@pytest.mark.parametrize(
    ("path", "body", "status", "said"),
    [
        ("/api/embed", {"model": "nobody", "input": {"a": 1}}, 400, "invalid input type"),
        ("/api/embed", {"input": "a"}, 404, "model '' not found"),
        ("/api/embed", {"model": "nobody", "input": "a"}, 404, 'model "nobody" not found, try pulling it first'),
        ("/api/embed", {**ASK, "options": {"num_ctx": "x"}}, 500, 'option "num_ctx" must be of type integer'),
        ("/api/embeddings", {}, 400, "model is required"),
        ("/api/embeddings", {"model": "MINILM"}, 404, 'model "MINILM" not found, try pulling it first'),
    ],
)
async def test_checks(server, path, body, status, said):
    assert await server.post(path, body) == (status, {"error": said})


async def test_failures_in_ollamas_words(server):
    server.engine.replies[EMBED] = [error(400, "maximum context length is 256")]
    said = {"error": "the input length exceeds the context length"}
    assert await server.post("/api/embed", {**ASK, "truncate": False}) == (400, said)
    assert await server.post("/api/embeddings", {"model": "minilm", "prompt": "a"}) == (500, said)
    assert "truncate_prompt_tokens" not in server.engine.bodies(EMBED)[0]
    server.engine.replies[EMBED] = [Reply(parts=[b'{"data":[{"index":0,"embedding":[null]}]}'])]
    assert await server.post("/api/embed", ASK) == (400, {"error": "embedding contains NaN or Inf values"})
