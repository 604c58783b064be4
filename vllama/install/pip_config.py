"""pip's configuration as arguments and variables of uv, which does not read it. Pure.

A machine's administrator says in ``pip.conf`` where packages come from (a mirror, a folder of wheels, a proxy, a
certificate); an install that ignored that would fail behind a company's wall.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from vllama.redaction import without_passwords

_SECTIONS: Final = ("global", "install", ":env:")
"""What holds for ``pip install``, the stronger later."""


@dataclass(frozen=True, slots=True)
class PipConfig:
    """The options of ``pip install`` that say where packages come from; ``index-url`` → ``https://…``."""

    options: Mapping[str, str] = field(default_factory=dict)

    def _words(self, option: str) -> list[str]:
        return self.options.get(option, "").split()

    def uv_arguments(self, *, hashed: bool = True) -> list[str]:
        """The options that uv takes on its command line. ``hashed``: every package is known by its hash."""
        arguments: list[str] = []
        if not self._secret_places():
            for place in self._words("find-links"):
                arguments += ["--find-links", place]
        for host in self._words("trusted-host"):
            arguments += ["--allow-insecure-host", host]
        if self.options.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
            arguments.append("--no-index")
        # pip takes the best version of all indexes, uv stops at the first index that has the name. With hashes a second
        # index can't slip in something else; without them only the first index can be trusted.
        return [*arguments, "--index-strategy", "unsafe-best-match" if hashed else "first-index"]

    def uv_environment(self, index: str | None = None) -> dict[str, str]:
        """Variables for uv: indexes may carry passwords, which must not be on a command line, where all can see them.

        ``index``: a further one, asked first.
        """
        pairs = {
            "UV_INDEX": index or "",
            "UV_DEFAULT_INDEX": self.options.get("index-url", ""),
            "UV_EXTRA_INDEX_URL": " ".join(self._words("extra-index-url")),
            "UV_FIND_LINKS": ",".join(place.replace(",", "%2C") for place in self._secret_places()),
            "SSL_CERT_FILE": self.options.get("cert", ""),
            "ALL_PROXY": self.options.get("proxy", ""),
            "UV_HTTP_TIMEOUT": self.options.get("default-timeout", self.options.get("timeout", "")),
        }
        return {name: value for name, value in pairs.items() if value}

    def _secret_places(self) -> list[str]:
        """``find-links`` where one of them has a password."""
        places = self._words("find-links")
        return places if any(without_passwords(place) != place for place in places) else []


def parse_pip_config(listing: str) -> PipConfig:
    """Read ``pip config list``: lines such as ``global.find-links='/opt/wheels'``; lines of no meaning are skipped."""
    found: dict[str, dict[str, str]] = {section: {} for section in _SECTIONS}
    for line in listing.splitlines():
        key, equals, value = line.partition("=")
        section, dot, option = key.rpartition(".")
        if not (equals and dot and section in found):
            continue
        try:
            read = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            continue
        if isinstance(read, str):
            found[section][option.replace("_", "-")] = " ".join(read.split())
    merged: dict[str, str] = {}
    for section in _SECTIONS:
        merged |= found[section]
    return PipConfig(merged)
