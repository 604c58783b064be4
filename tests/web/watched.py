"""A page in the browser: whatever it logs and asks is kept."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Request

_SERIOUS = {"serious", "critical"}


class Watched:
    """``page`` is Playwright's. ``expects``: patterns of console errors that the test provokes."""

    def __init__(self, browser: Browser, url: str, *, width: int = 1440, height: int = 900, scheme: str = "light"):
        self.expects: Sequence[str] = ()
        self.errors: list[str] = []
        self.asked: list[str] = []
        self._home = urlsplit(url).netloc
        self._context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page = self._context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.on("console", self._logged)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._requested)
        self.page.goto(url)

    def _logged(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.errors.append(message.text)

    def _requested(self, request: Request) -> None:
        self.asked.append(request.url)

    def close(self) -> None:
        """Close the window."""
        self._context.close()

    def check(self) -> None:
        """Nothing went wrong unseen."""
        unexpected = [error for error in self.errors if not any(re.search(one, error) for one in self.expects)]
        assert not unexpected
        elsewhere = [url for url in self.asked if not url.startswith(("data:", "blob:")) and self._else(url)]
        assert not elsewhere

    def _else(self, url: str) -> bool:
        return urlsplit(url).netloc != self._home

    def serious_findings(self) -> list[Any]:
        """What axe-core has to say against the page as it is now."""
        found = Axe().run(self.page).response["violations"]
        return [
            (one["id"], [(node["html"][:200], node["failureSummary"]) for node in one["nodes"]])
            for one in found
            if one["impact"] in _SERIOUS
        ]

    def overflow(self) -> int:
        """CSS pixels by which one can scroll sideways."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
