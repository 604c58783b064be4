from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vllama.bench.events import TimedAnswer


def ollama(*texts: str, done: bool = True) -> bytes:
    lines = [{"message": {"role": "assistant", "content": text}, "done": False} for text in texts]
    final = {"message": {"content": ""}, "done": True, "prompt_eval_count": 7, "eval_count": len(texts)}
    return b"".join(orjson.dumps(line) + b"\n" for line in [*lines, *([final] if done else [])])


def openai(*texts: str) -> bytes:
    chunks = [{"choices": [{"delta": {"role": "assistant", "content": ""}}]}]
    chunks += [{"choices": [{"delta": {"content": text}}]} for text in texts]
    usage = {"prompt_tokens": 7, "completion_tokens": len(texts), "prompt_tokens_details": {"cached_tokens": 4}}
    chunks.append({"choices": [], "usage": usage})
    return b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(("dialect", "body"), [("ollama", ollama("a", "b", "c")), ("openai", openai("a", "b", "c"))])
def test_times_are_those_of_the_pieces_of_text(dialect, body):
    answer = TimedAnswer(dialect, stream=True)
    for number, line in enumerate(part + b"\n" for part in body.split(b"\n")):
        answer.feed(line, float(number))
    found = answer.end(200, 99.0)
    assert found.error == ""
    assert (found.tokens_in, found.tokens_out, found.total) == (7, 3, 99.0)
    assert len(found.gaps) == 2
    assert found.first is not None
    assert found.first == (0.0 if dialect == "ollama" else 2.0)  # a role without text is no token


@given(st.sampled_from([("ollama", ollama("a", "ü€", "c")), ("openai", openai("a", "ü€", "c"))]), st.data())
def test_where_the_bytes_are_cut_does_not_matter(case, data):
    dialect, body = case
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=20)))
    answer = TimedAnswer(dialect, stream=True)
    for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        answer.feed(body[begin:end], 1.0)
    found = answer.end(200, 2.0)
    assert (found.error, found.tokens_in, found.tokens_out, len(found.gaps)) == ("", 7, 3, 2)


def test_what_was_cached_is_reported_by_openais_api():
    answer = TimedAnswer("openai", stream=True)
    answer.feed(openai("a"), 1.0)
    assert answer.end(200, 1.0).cached == 4


def test_a_completions_token_that_is_not_shown_is_a_token():
    answer = TimedAnswer("openai", stream=True)
    for number, text in enumerate(("", "", "a")):
        answer.feed(b'data: {"choices":[{"text":"%s","finish_reason":null}]}\n\n' % text.encode(), float(number))
    answer.feed(b'data: {"choices":[{"text":"","finish_reason":"stop"}],"usage":{"completion_tokens":3}}\n\n', 3.0)
    found = answer.end(200, 3.0)
    assert (found.first, found.gaps) == (0.0, (1.0, 1.0, 1.0))


def test_an_answer_in_one_piece_has_no_first_token():
    answer = TimedAnswer("openai", stream=False)
    body = {
        "choices": [{"message": {"content": "abc"}}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }
    answer.feed(orjson.dumps(body), 1.0)
    found = answer.end(200, 1.5)
    assert (found.first, found.gaps, found.tokens_out, found.total, found.error) == (None, (), 3, 1.5, "")


@pytest.mark.parametrize(
    ("dialect", "status", "body", "reported"),
    [
        ("ollama", 200, ollama("a", done=False), "without its last part"),
        ("ollama", 404, b'{"error":"model \'x\' not found"}', "404: model 'x' not found"),
        ("ollama", 200, b'{"error":"gone"}\n', "gone"),
        ("openai", 200, b'data: {"error":{"message":"too long","code":400}}\n\ndata: [DONE]\n\n', "too long"),
        ("openai", 404, b'{"detail":"Not Found"}', '404: {"detail":"Not Found"}'),
        ("openai", 502, b"<html>Bad Gateway</html>", "502: <html>Bad Gateway"),
        ("openai", 500, b"", "500: an empty answer"),
        ("openai", 200, b"data: {broken\n\n", "no JSON"),
        ("openai", 200, b"", "without its last part"),
    ],
)
def test_what_did_not_end_well_is_an_error(dialect, status, body, reported):
    answer = TimedAnswer(dialect, stream=True)
    answer.feed(body, 1.0)
    found = answer.end(status, 1.0)
    assert reported in found.error
    assert found.tokens_out == 0
