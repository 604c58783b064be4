"""The short cut of a plain event: it says what a parser finds in it, and writers write it as they write a piece."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.translate.chunks import call, chat, logprobs, text, usage
from vllama.engine.client import engine_error
from vllama.jsontext import encode
from vllama.translate.anthropic.replies import MessageStream
from vllama.translate.engine.stream import ChatReader, TextReader
from vllama.translate.engine.thinking import ThinkingSplitter
from vllama.translate.ollama.replies import ChatWriter, GenerateWriter
from vllama.translate.openai.completions_replies import completion_streams
from vllama.translate.openai.replies import ReplyHead, chat_streams
from vllama.translate.pieces import Piece, Step
from vllama.translate.responses.replies import Echo, ResponseHead, ResponseStream

Reader = ChatReader | TextReader
NOW = 1795263743_123456789
HEAD = ReplyHead("chatcmpl-1", 1, "m")
TEXTS = st.text(max_size=12) | st.sampled_from(
    ['"', "\\", '","x":"', "\n", "\u2028", "\x85", "<b>", "a & b", "é", "\0"]
)
IDS = st.none() | st.lists(st.integers(0, 1 << 20), max_size=3)
CHAT = st.one_of(
    st.builds(lambda words, ids: chat({"content": words}, token_ids=ids), TEXTS, IDS),
    TEXTS.map(lambda words: chat({"content": words})),
    TEXTS.map(lambda words: chat({"reasoning": words})),
    TEXTS.map(lambda words: chat({"content": words}, logprobs=logprobs(words or "x"))),
    st.just(chat(call(0, "f", "{}"))),
)
TEXT = st.one_of(
    st.builds(lambda words, ids: text(words, token_ids=ids), TEXTS, IDS),
    st.builds(lambda words, ids: text(words, token_ids=ids, prompt_token_ids=ids), TEXTS, IDS),
    TEXTS.map(text),
)
READERS: dict[str, Callable[[], Reader]] = {
    "chat": lambda: ChatReader(engine_error),
    "thinking": lambda: ChatReader(engine_error, thinking=True),
    "text": lambda: TextReader(engine_error),
    "split": lambda: TextReader(engine_error, splitter=ThinkingSplitter()),
}


def event(payload: bytes) -> bytes:
    return b"data: " + payload + b"\n\n"


def short(reader: Reader, payloads: list[bytes]) -> tuple[list[Step], int]:
    """The steps, and how many were taken short."""
    steps: list[Step] = []
    taken = 0
    for payload in payloads:
        if string := reader.extract_text(event(payload)):
            assert encode(orjson.loads(string)) == string
            steps.append(Piece(orjson.loads(string)))
            taken += 1
        else:
            steps += reader.feed([payload])
        if reader.failure is not None:
            break
    return steps, taken


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_what_is_taken_short_is_what_a_parser_finds(kind, data):
    """Each white space before a chunk makes it unlike the one before, so that it is parsed."""
    chunks, end = (CHAT, chat({}, "stop")) if kind in {"chat", "thinking"} else (TEXT, text("", "stop"))
    payloads = [*data.draw(st.lists(chunks, max_size=12)), end, usage()]
    taken, parsed = READERS[kind](), READERS[kind]()
    steps, _ = short(taken, payloads)
    assert steps == parsed.feed([b" " * number + payload for number, payload in enumerate(payloads)])
    assert (taken.failure is None) == (parsed.failure is None)


@pytest.mark.parametrize("ids", [None, [7], [7, 8]])
@pytest.mark.parametrize("kind", ["chat", "text"])
def test_nearly_all_of_a_long_answer_is_taken_short(kind, ids):
    chunk = (lambda words: chat({"content": words}, token_ids=ids)) if kind == "chat" else None
    made = [(chunk or (lambda words: text(words, token_ids=ids)))(f" w{number}ü") for number in range(100)]
    assert short(READERS[kind](), made)[1] == 99


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_the_ids_of_what_is_taken_short_are_reported_at_the_end(kind):
    chunk = (lambda number: chat({"content": "a"}, token_ids=[number])) if kind == "chat" else None
    made = [(chunk or (lambda number: text("a", token_ids=[number])))(number) for number in range(20)]
    end = chat({}, "stop") if kind == "chat" else text("", "stop")
    steps, taken = short(READERS[kind](), [*made, end, usage()])
    assert taken
    assert steps[-1].token_ids == tuple(range(20))


@pytest.mark.parametrize("kind", ["chat", "text"])
def test_the_ids_of_a_token_without_text_are_reported_once(kind):
    """Half a character, or what may become a stop string, has ids and no text yet."""

    def chunk(words, ids, reason=None):
        return chat({"content": words}, reason, token_ids=ids) if kind == "chat" else text(words, reason, token_ids=ids)

    payloads = [chunk("a", [1]), chunk("b", [2]), chunk("", [3]), chunk("é", [4]), chunk("", [5]), chunk("c", [6])]
    payloads += [chunk("", [9], "stop"), usage()]
    fed = READERS[kind]()
    for steps in (short(READERS[kind](), payloads)[0], fed.feed(payloads)):
        assert steps[-1].token_ids == (1, 2, 3, 4, 5, 6)


def test_what_looks_like_ids_and_is_endless_is_left_to_the_parser():
    reader = READERS["text"]()
    reader.feed([text("a", token_ids=[1])])
    good = event(text("a", token_ids=[1]))
    assert reader.extract_text(good) == b'"a"'
    assert reader.extract_text(good.replace(b"[1]", b"[" + b"1" * 5000 + b"]")) == b""


def test_nothing_is_read_behind_a_failure():
    reader = READERS["chat"]()
    assert reader.feed([chat({"content": "a"}), b'{"choices":[{}]}', chat({"content": "b"})]) == [Piece("a")]
    failure = reader.failure
    assert failure is not None
    assert reader.feed([chat({}, "stop"), usage()]) == []
    assert reader.failure is failure


def test_a_text_that_may_be_thinking_is_never_taken_short():
    assert not short(READERS["split"](), [text("a")] * 5)[1]


@pytest.mark.parametrize("bad", [b"\xff", b'"', b"\\u00e9", b"\n", b"", b"<", b"\xe2\x80\xa8"])
def test_what_would_be_written_in_another_way_is_not_taken_short(bad):
    reader, good = READERS["chat"](), chat({"content": "good"})
    reader.feed([good])
    assert reader.extract_text(event(good)) == b'"good"'
    broken = good.replace(b'"good"', b'"' + bad + b'"') if bad else good.replace(b'"good"', b"")
    assert reader.extract_text(event(broken)) == b""


@pytest.mark.parametrize("cut", [event(chat({"content": "good"}))[:-1], event(chat({"content": "good"})) * 2])
def test_only_one_whole_event_is_taken_short(cut):
    reader = READERS["chat"]()
    reader.feed([chat({"content": "good"})])
    assert reader.extract_text(cut) == b""


@pytest.mark.parametrize("make", [lambda: ChatWriter("m"), lambda: GenerateWriter("m")])
@given(words=TEXTS)
def test_a_line_is_the_same_for_a_piece_and_for_its_json(make, words):
    writer = make()
    assert writer.write_text(encode(words), NOW) == writer.piece(Piece(words), NOW)


@pytest.mark.parametrize(
    "make",
    [
        lambda: chat_streams(HEAD)[0],
        lambda: completion_streams(HEAD, include_usage=True)[0],
        lambda: MessageStream("msg_1", "m", input_estimate=1, request_id="req_1"),
        lambda: ResponseStream(ResponseHead("1", 1, Echo("m")), lambda: 9),
    ],
    ids=["chat", "completion", "message", "response"],
)
@given(
    steps=st.lists(
        st.tuples(
            st.builds(Piece, TEXTS.filter(bool)) | TEXTS.filter(bool).map(lambda t: Piece(thinking=t)), st.booleans()
        ),
        max_size=6,
    )
)
def test_an_event_is_the_same_for_a_piece_and_for_its_json(make, steps):
    one, other = make(), make()
    for piece, by_json in steps:
        plain = by_json and not piece.thinking
        assert (one.write_text(encode(piece.content)) if plain else one.feed([piece])) == other.feed([piece])
