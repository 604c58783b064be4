"""A schema's ``pattern`` as the engine's grammar can hold it. Pure.

The grammar matches a pattern against the text between the quotes of a JSON string, from its first to its last
character. So a quote, a backslash or a line break is written here as JSON escapes it, and a pattern without ``^`` or
``$`` gets the text that may surround it. What the grammar can't check (looking ahead, word boundaries) is left out;
then the pattern allows more than the client's does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NamedTuple

_LAST: Final = 0x10FFFF
_DIGITS: Final = ((0x30, 0x39),)
_WORD: Final = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_BLANK: Final = ((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x2028, 0x2029))
_LINES: Final = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": _BLANK}
_CONTROLS: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "0": "\0"}
_ESCAPED: Final = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
# never bare between the quotes of a JSON string; half a surrogate pair is no character
_NOT_BARE: Final = ((0x00, 0x1F), (0x22, 0x22), (0x5C, 0x5C), (0x7F, 0x7F), (0xD800, 0xDFFF))
_QUANTIFIER: Final = re.compile(r"(?:[*+?]|\{(\d+)(?:,(\d*))?\}|\{,(\d+)\})[?+]?", re.ASCII)
_CODE: Final = re.compile(r"x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|u\{([0-9A-Fa-f]{1,6})\}|U([0-9A-Fa-f]{8})")
_PROPERTY: Final = re.compile(r"[pP](?:\{[^}]*\}|\w)")
_GROUP: Final = re.compile(r"\((?:\?(?::|P?<[A-Za-z_]\w*>|'[A-Za-z_]\w*'|>))?")
_LOOKING: Final = re.compile(r"\(\?<?[=!]")
_DEEPEST: Final = 50
_LONGEST: Final = 20_000

Ranges = tuple[tuple[int, int], ...]


class Regex(NamedTuple):
    """A pattern for the grammar; ``whole``: it says all that the client's says."""

    text: str
    whole: bool


class _UnsupportedError(Exception):
    """Nothing of the pattern can be kept."""


@dataclass(frozen=True, slots=True)
class _Item:
    """One thing of a sequence: a text that is ready, a group, or an anchor; and how often it stands there."""

    text: str = ""
    group: tuple[tuple[_Item, ...], ...] | None = None
    anchor: str = ""
    times: str = ""


def for_grammar(pattern: str) -> Regex | None:
    """The pattern in the grammar's words, or None where nothing of it can be kept."""
    reader = _Reader(pattern)
    try:
        text = reader.written(reader.alternatives(0), left=True, right=True)
        reader.end()
    except _UnsupportedError:
        return None
    return Regex(text, reader.whole) if len(text) <= _LONGEST else None


class _Reader:
    """Reads a regular expression as JavaScript, Python and Go write them."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self.whole = True
        self._fold = pattern.startswith("(?i)")
        if self._fold:
            self._at = 4

    def alternatives(self, depth: int) -> tuple[tuple[_Item, ...], ...]:
        """Up to the closing parenthesis or the end."""
        if depth > _DEEPEST:
            raise _UnsupportedError
        found = [self._sequence(depth)]
        while self._take("|"):
            found.append(self._sequence(depth))
        return tuple(found)

    def end(self) -> None:
        """Nothing may be left."""
        if self._at < len(self._text):
            raise _UnsupportedError

    def _sequence(self, depth: int) -> tuple[_Item, ...]:
        items = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            item = self._item(depth)
            times = self._times()
            if item.anchor or not (item.text or item.group):
                if item.anchor:
                    items.append(item)
            else:
                items.append(_Item(item.text, item.group, times=times))
        return tuple(items)

    def _item(self, depth: int) -> _Item:
        if looking := _LOOKING.match(self._text, self._at):
            self._at = looking.end()
            self.alternatives(depth + 1)
            self._close()
            self.whole = False
            return _Item()
        if group := _GROUP.match(self._text, self._at):
            self._at = group.end()
            inner = self.alternatives(depth + 1)
            self._close()
            return _Item(group=inner)
        character = self._next()
        if character in "^$":
            return _Item(anchor=character)
        if character == ".":
            return _Item(_written(_complement(_LINES)))
        if character == "[":
            return _Item(self._class())
        if character == "\\":
            return self._escape()
        if character in "*+?":
            raise _UnsupportedError  # nothing to repeat; "(?" of a kind that is not known
        return _Item(self._literal(character))

    def _escape(self) -> _Item:
        if code := self._code():
            return _Item(self._literal(code))
        if self._property():
            return _Item(_written(_complement(_LINES)))
        character = self._next()
        if character in "bB":
            self.whole = False
            return _Item()
        if character in "AZz":
            return _Item(anchor="^" if character == "A" else "$")
        if character.lower() in _CLASSES:
            return _Item(_written(_named(character)))
        if character in "123456789kG":
            raise _UnsupportedError
        return _Item(self._literal(_CONTROLS.get(character, character)))

    def _class(self) -> str:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or self._text[self._at : self._at + 1] != "]":
            first = False
            low = self._member()
            if (
                isinstance(low, str)
                and self._text[self._at : self._at + 1] == "-"
                and self._text[self._at + 1 :][:1] not in ("]", "")
            ):
                self._at += 1
                high = self._member()
                if not isinstance(high, str) or high < low:
                    raise _UnsupportedError
                ranges.append((ord(low), ord(high)))
            else:
                ranges.extend(((ord(low), ord(low)),) if isinstance(low, str) else low)
        self._at += 1
        if self._fold:
            ranges.extend(_other_case(ranges))
        return _written(_complement(ranges) if negated else tuple(ranges))

    def _member(self) -> str | Ranges:
        character = self._next()
        if character != "\\":
            return character
        if code := self._code():
            return code
        if self._property():
            return ((0, _LAST),)
        character = self._next()
        if character.lower() in _CLASSES:
            return _named(character)
        return "\b" if character == "b" else _CONTROLS.get(character, character)

    def _code(self) -> str:
        found = _CODE.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        number = int(next(group for group in found.groups() if group), 16)
        if number > _LAST:
            raise _UnsupportedError
        return chr(number)

    def _property(self) -> bool:
        """A class of Unicode's, of which the grammar knows none."""
        found = _PROPERTY.match(self._text, self._at)
        if found is None:
            return False
        self._at = found.end()
        self.whole = False
        return True

    def _times(self) -> str:
        found = _QUANTIFIER.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        if self._at < len(self._text) and _QUANTIFIER.match(self._text, self._at):
            raise _UnsupportedError
        low, high, most = found.groups()
        if most is not None:
            return f"{{0,{int(most)}}}"
        if low is None:
            return found[0][0]
        if high and int(high) < int(low):
            raise _UnsupportedError
        return f"{{{int(low)}}}" if high is None else f"{{{int(low)},{int(high) if high else ''}}}"

    def _literal(self, character: str) -> str:
        code = ord(character)
        return _written(((code, code), *(_other_case([(code, code)]) if self._fold else ())))

    def _take(self, character: str) -> bool:
        taken = self._text.startswith(character, self._at)
        self._at += taken
        return taken

    def _close(self) -> None:
        if not self._take(")"):
            raise _UnsupportedError

    def _next(self) -> str:
        if self._at >= len(self._text):
            raise _UnsupportedError
        self._at += 1
        return self._text[self._at - 1]

    def written(self, group: tuple[tuple[_Item, ...], ...], *, left: bool, right: bool) -> str:
        """``left``, ``right``: nothing stands before, behind the group, so that its anchors mean the text's ends."""
        return "|".join(self._one(items, left=left, right=right) for items in group)

    def _one(self, items: tuple[_Item, ...], *, left: bool, right: bool) -> str:
        starts = bool(items) and items[0].anchor == "^" and left
        while starts and items and items[0].anchor == "^":
            items = items[1:]
        ends = bool(items) and items[-1].anchor == "$" and right
        while ends and items and items[-1].anchor == "$":
            items = items[:-1]
        free_left, free_right = left and not starts, right and not ends
        parts = [
            self._part(item, left=free_left and place == 0, right=free_right and place == len(items) - 1)
            for place, item in enumerate(items)
        ]
        before = ANYTHING if free_left and not (items and _anchored(items[0])) else ""
        behind = ANYTHING if free_right and not (items and _anchored(items[-1])) and (items or not before) else ""
        return before + "".join(parts) + behind

    def _part(self, item: _Item, *, left: bool, right: bool) -> str:
        if item.anchor:
            self.whole = False  # in the midst of a text: it holds nowhere, or everywhere
            return ""
        if item.group is None:
            return item.text + item.times
        inside = _anchored(item)
        return f"(?:{self.written(item.group, left=left and inside, right=right and inside)}){item.times}"


def _anchored(item: _Item) -> bool:
    """A group, standing once, that has anchors of its own."""
    return (
        item.group is not None
        and not item.times
        and any(inner.anchor or _anchored(inner) for items in item.group for inner in items)
    )


def _named(character: str) -> Ranges:
    ranges = _CLASSES[character.lower()]
    return ranges if character.islower() else _complement(ranges)


def _complement(ranges: Ranges | list[tuple[int, int]]) -> Ranges:
    found = []
    start = 0
    for low, high in sorted(ranges):
        if low > start:
            found.append((start, low - 1))
        start = max(start, high + 1)
    if start <= _LAST:
        found.append((start, _LAST))
    return tuple(found)


def _other_case(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    letters = [
        (max(low, first) + shift, min(high, last) + shift)
        for low, high in ranges
        for first, last, shift in ((0x41, 0x5A, 0x20), (0x61, 0x7A, -0x20))
    ]
    return [(low, high) for low, high in letters if low <= high]


def _written(ranges: Ranges) -> str:
    """A class of characters as they stand in a JSON string."""
    outside = _complement(ranges)
    bare = _complement((*outside, *_NOT_BARE))
    escaped = [
        short for character, short in _ESCAPED.items() if any(low <= ord(character) <= high for low, high in ranges)
    ]
    single = len(bare) == 1 and bare[0][0] == bare[0][1]
    text = _quoted(chr(bare[0][0])) if single else "".join(map(_range, bare))
    wanted = [text if single else f"[{text}]"] if bare else []
    if escaped:
        wanted.append(r"\\[" + "".join("\\\\" if short == "\\" else short for short in escaped) + "]")
    if not wanted:
        raise _UnsupportedError  # a class that nothing is in, or control characters only
    return wanted[0] if len(wanted) == 1 and bare else f"(?:{'|'.join(wanted)})"


def _range(found: tuple[int, int]) -> str:
    low, high = found
    return _quoted(chr(low)) if low == high else f"{_quoted(chr(low))}-{_quoted(chr(high))}"


def _quoted(character: str) -> str:
    return "\\" + character if character in r"\^$.*+?()[]{}|-" else character


ANYTHING: Final = f"{_written(_complement(()))}*"
"""Any text of a JSON string."""
