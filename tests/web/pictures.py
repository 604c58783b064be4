"""``python -m tests.web.pictures``: makes the pictures of docs/web.md again, of a made-up machine with one GPU."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.web import data
from tests.web.scripted import Scripted
from tests.web.watched import Watched

_DOCS = Path(__file__).parents[2] / "docs" / "pictures"
_SHOTS = (("now", 1440, "light"), ("now", 1440, "dark"), ("now", 360, "dark"), ("requests", 1440, "light"))
_MORE = (("usage", 1440, "dark"), ("health", 1440, "light"), ("requests", 360, "light"))
_TALLEST = 1300


def _plain(value: Any) -> Any:
    """Without the model whose name tries to be markup."""
    return json.loads(json.dumps(value).replace(data.MARKUP, "llama3.1:70b"))


def main() -> None:
    """Write them."""
    service = Scripted()
    service.start()
    service.status = _plain(data.status())
    service.answers = {
        "GET /vllama/history": data.history(),
        "GET /vllama/requests": _plain(data.requests()),
        "GET /vllama/usage": _plain({**data.usage(), "lost": 0}),
        "GET /vllama/health": _plain(data.health()),
    }
    _DOCS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for view, width, scheme in (*_SHOTS, *_MORE):
            one = Watched(browser, f"{service.url}/#/{view}", width=width, scheme=scheme)
            one.page.get_by_text("llama3.1:70b").first.wait_for()
            image = Image.open(io.BytesIO(one.page.screenshot(full_page=True)))
            image = image.crop((0, 0, image.width, min(image.height, _TALLEST)))
            image.convert("RGB").quantize(128).save(_DOCS / f"page-{view}-{width}-{scheme}.png", optimize=True)
            one.close()
        browser.close()
    service.stop()


if __name__ == "__main__":
    main()
