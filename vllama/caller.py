"""Who sent a request: made once at the door (``http.permits``), and carried with the request. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Scope = Literal["use", "manage"]
"""What an API key allows; ``manage`` includes ``use``."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A client, as far as it is known."""

    address: str = ""
    """Where the request comes from, in words: an IP address, ``a local socket``, or what hides it."""
    id: str = ""
    """Id of the API key that came with the request; empty where none came that is known here."""
    name: str = ""
    """The name that the administrator gave to the key."""
    scope: Scope | None = None
    """What the key allows; None without a key."""
    person: str = ""
    """Who is behind the request, as a caller that is trusted with this says; empty where none says."""


NOBODY: Final = Caller()
"""Before the door has looked."""
