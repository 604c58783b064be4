"""Two servers may call their models differently: common symbols for both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tests.contract.wire import split_tag


class Names:
    """Brings names of models and the server's address in a text to common symbols, so that two servers with
    differently named models can be compared."""

    def __init__(self, models: dict[str, str], base: str):
        self.models, self.hosts = models, [urlsplit(base).netloc]
        self.stems = {role: split_tag(name) for role, name in models.items()}
        stems = sorted(((stem, role) for role, (stem, _) in self.stems.items()), key=lambda s: -len(s[0]))
        self.pattern = re.compile(
            "|".join(rf"(?<![\w-])(?P<{role}>{re.escape(stem)})(?![\w-])" for stem, role in stems), re.IGNORECASE
        )

    def common(self, text: str) -> str:
        def swap(m: re.Match[str]) -> str:
            role = m.lastgroup or ""
            stem = self.stems[role][0]
            return f"‹{role}›" if m[0] == stem else f"‹{role}^›" if m[0] == stem.upper() else f"‹{role}~›"

        for host in self.hosts:
            text = text.replace(host, "‹HOST›")
        text = self.pattern.sub(swap, text)
        for role, (_, tag) in self.stems.items():
            text = re.sub(rf"(‹{role}.?›):{re.escape(tag)}(?![\w.-])", r"\1:‹tag›", text, flags=re.IGNORECASE)
        return text


@dataclass
class Sides:
    golden: Names
    actual: Names
    golden_table: dict[str, str]
    actual_table: dict[str, str]

    def same(self, g: str, a: str) -> bool:
        if g == a:
            return True
        x, y = (
            re.sub(r"\b[0-9a-f]{64}\b", "‹digest›", side.common(text))
            for side, text in ((self.golden, g), (self.actual, a))
        )
        if x == y:
            return True
        tagged = any(
            (":" in self.golden.models[r].rpartition("/")[2]) != (":" in self.actual.models[r].rpartition("/")[2])
            for r in self.golden.models
        )
        return tagged and x.replace(":‹tag›", "") == y.replace(":‹tag›", "")
