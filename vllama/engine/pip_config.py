"""pip's configuration, told to uv, which does not read it. Pure.

A machine's administrator says in ``pip.conf`` where packages come from (a mirror, a folder of wheels, a proxy, a
certificate); an install that ignored that would fail behind a company's wall.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_SECTIONS: Final = ("global", "install", ":env:")
"""What holds for ``pip install``, the stronger later."""


@dataclass(frozen=True, slots=True)
class PipConfig:
    """The options of ``pip install`` that say where packages come from; ``index-url`` → ``https://…``."""

    options: Mapping[str, str] = field(default_factory=dict)

    def _words(self, option: str) -> list[str]:
        return self.options.get(option, "").split()

    def uv_arguments(self) -> list[str]:
        """The options that uv takes on its command line."""
        arguments: list[str] = []
        for place in self._words("find-links"):
            arguments += ["--find-links", place]
        for host in self._words("trusted-host"):
            arguments += ["--allow-insecure-host", host]
        if self.options.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
            arguments.append("--no-index")
        # pip takes the best version of all indexes, uv stops at the first index that has the name: every package is
        # pinned by hash, so that a second index can't slip in something else.
        return [*arguments, "--index-strategy", "unsafe-best-match"]

    def uv_environment(self) -> list[str]:
        """``env NAME=VALUE …`` to put before uv: indexes may carry passwords, which must not stay visible in ``ps``."""
        pairs = {
            "UV_DEFAULT_INDEX": self.options.get("index-url", ""),
            "UV_EXTRA_INDEX_URL": " ".join(self._words("extra-index-url")),
            "SSL_CERT_FILE": self.options.get("cert", ""),
            "ALL_PROXY": self.options.get("proxy", ""),
            "UV_HTTP_TIMEOUT": self.options.get("default-timeout", self.options.get("timeout", "")),
        }
        settings = [f"{name}={value}" for name, value in pairs.items() if value]
        return ["env", *settings] if settings else []


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
