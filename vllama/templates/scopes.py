"""Names of variables in scope, innermost last; finding one costs the same however many there are. Pure."""

from __future__ import annotations

from vllama.templates.values import Value


class VariableScope:
    """The variables of one template."""

    __slots__ = ("_names", "_values")

    def __init__(self, dot: Value = None) -> None:
        self._names = ["$"]
        self._values: dict[str, list[Value]] = {"$": [dot]}

    def __contains__(self, name: object) -> bool:
        return bool(self._values.get(str(name)))

    def __getitem__(self, name: str) -> Value:
        """The innermost of that name."""
        return self._values[name][-1]

    @property
    def size(self) -> int:
        """How many there are: what ``shrink`` is given later."""
        return len(self._names)

    def declare(self, name: str, value: Value = None) -> None:
        """A new one, which hides an outer one of its name."""
        self._names.append(name)
        self._values.setdefault(name, []).append(value)

    def assign(self, name: str, value: Value) -> None:
        """Give the innermost of that name a new value."""
        self._values[name][-1] = value

    def shrink(self, size: int) -> None:
        """Leave a block: the variables that were declared in it are gone."""
        while len(self._names) > size:
            self._values[self._names.pop()].pop()
