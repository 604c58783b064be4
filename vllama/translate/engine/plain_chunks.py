"""Knows the chunk that nearly all of a long answer's are, and takes its text out without parsing the rest. Pure.

The engine writes one answer's plain chunks alike but for the text. So what stands before and behind the text of one
that was parsed is compared, byte by byte, with the next; where both are the same and there is one JSON string without
escapes between them, that string is all that differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from vllama.jsontext import NEVER_AS_THEY_ARE

# Behind a key the text begins: unescaped quotes stand nowhere within a string.
CHAT_KEY = b'"delta":{"content":'
TEXT_KEY = b'"text":'
_IDS = b'"token_ids":['
_LONGEST_IDS = 400  # bytes; an event has the ids of a few tokens


class PlainChunks:
    """An instance per answer; ``key`` is what the text stands behind, ``ids`` gets the token ids of what is taken."""

    __slots__ = ("_after", "_before", "_between", "_event_after", "_event_before", "_ids", "_key")

    def __init__(self, key: bytes, ids: list[int]) -> None:
        self._key = key
        self._ids = ids
        self._before = self._between = self._after = b""
        self._event_before = self._event_after = b""

    def learn(self, payload: bytes, content: str, ids: Sequence[int]) -> None:
        """``payload`` was parsed and is plain: it holds one choice, and these are all that it says."""
        before, key, rest = payload.partition(self._key)
        text = orjson.dumps(content)
        if not key or not rest.startswith(text):
            return
        between, after = b"", rest[len(text) :]
        if ids:
            between, found, after = after.partition(_IDS)
            reported = b",".join(b"%d" % number for number in ids)
            if not found or not after.startswith(reported + b"]"):
                return
            between, after = between + found, after[len(reported) :]
        self._before, self._between, self._after = before + key, between, after
        self._event_before, self._event_after = b"data: " + self._before, after + b"\n\n"

    def text(self, payload: bytes) -> str:
        """The text of a chunk like the one that was learnt; empty where it has to be parsed. Raises ValueError."""
        string, ids = self._apart(payload, self._before, self._after)
        if b"\\" in string or string.count(b'"') != 2 or string[:1] != b'"' or string[-1:] != b'"':
            return ""
        if text := string[1:-1].decode():
            self._ids.extend(ids)
        return text

    def extract(self, event: bytes) -> bytes:
        """The text of a whole event (``data: ...`` and a blank line) as JSON, as our answers write it, too.

        Empty where the event has to be parsed, or where its text has to be written in another way than it came.
        """
        string, ids = self._apart(event, self._event_before, self._event_after)
        # of the bytes that mean something there are two, the quotes, and something is between them
        if not 0 < len(string.translate(None, NEVER_AS_THEY_ARE)) == len(string) - 2:
            return b""
        if string[:1] != b'"' or string[-1:] != b'"' or not (string.isascii() or _is_text(string)):
            return b""
        self._ids.extend(ids)
        return string

    def _apart(self, data: bytes, before: bytes, after: bytes) -> tuple[bytes, Sequence[int]]:
        """What stands where the text stood, and the numbers where the ids stood; nothing where it is not alike."""
        if not before or not data.startswith(before) or not data.endswith(after):
            return b"", ()
        string = data[len(before) : -len(after)]
        if not self._between:
            return string, ()
        string, _, numbers = string.partition(self._between)
        if len(numbers) > _LONGEST_IDS:
            return b"", ()
        if numbers.isdigit():
            return string, (int(numbers),)
        ids = numbers.split(b",")
        return (string, [int(number) for number in ids]) if all(map(bytes.isdigit, ids)) else (b"", ())


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except ValueError:
        return False
    return True
