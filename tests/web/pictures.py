"""``python -m tests.web.pictures``: makes the pictures of docs/web.md again, of a made-up machine with one GPU."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

from PIL import Image
from playwright.sync_api import Page, sync_playwright

from tests.web import data
from tests.web.scripted import Scripted
from tests.web.watched import Watched

_DOCS = Path(__file__).parents[2] / "docs" / "pictures"
_SHOTS = (("now", 1440, "light"), ("now", 1440, "dark"), ("now", 360, "dark"), ("requests", 1440, "light"))
_MORE = (("usage", 1440, "dark"), ("health", 1440, "light"), ("requests", 360, "light"))
_TALKS = (("models", 1440, "light"), ("chat", 1440, "dark"), ("chat", 360, "light"))
_TALLEST = 1300
_SIZE = 14_800_000_000


def _plain(value: Any) -> Any:
    """Without the model whose name tries to be markup."""
    return json.loads(json.dumps(value).replace(data.MARKUP, "llama3.1:70b"))


_ANSWER = """A **token bucket** lets through bursts, and a steady rate over time:

| Value | Means |
|---|---|
| `level` | what may be used at once |
| `rate` | what comes back in a second |

```python
def take(level: float, passed: float, rate: float, most: float) -> float:
    return min(most, level + passed * rate) - 1
```
"""
_CHAT = {
    "message": {"role": "assistant", "content": _ANSWER, "thinking": "Short, with a table and code."},
    "done": True,
    "prompt_eval_count": 19,
    "eval_count": 117,
    "eval_duration": 1_400_000_000,
}


def _use(view: str, page: Page) -> None:
    """Do what the picture is to show."""
    if view == "models":
        page.get_by_label("A name of the catalogue").fill("qwen3:14b")
        page.get_by_role("button", name="Does it fit?").click()
        page.get_by_text("fits: about").wait_for()
        page.get_by_role("button", name="Pull", exact=True).click()
        page.get_by_role("progressbar").last.wait_for()
        page.get_by_label("A name of the catalogue").fill("qwen3:14b")
        page.get_by_role("button", name="Does it fit?").click()
        page.get_by_text("fits: about").wait_for()
    if view == "chat":
        page.get_by_label("Message", exact=True).fill("What is a token bucket? With code, please.")
        page.get_by_role("button", name="Send").click()
        page.locator(".markdown table").wait_for()
        page.get_by_text("tokens/s").wait_for()


def main() -> None:
    """Write them."""
    service = Scripted()
    service.start()
    service.status = _plain(data.status())
    usage = {**data.usage(), "lost": 0}
    more = {
        "GET /vllama/usage": usage,
        "GET /vllama/plan": {"fits": True, "verdict": "fits: about 9 chats at once with 8k context"},
        "POST /api/pull": {
            "status": "success",
            "digest": "sha256:0",
            "total": _SIZE,
            "completed": _SIZE,
        },
        "POST /api/chat": _CHAT,
    }
    service.answers = _plain({**data.answers(), **more})
    _DOCS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for view, width, scheme in (*_SHOTS, *_MORE, *_TALKS):
            one = Watched(browser, f"{service.url}/#/{view}", width=width, scheme=scheme)
            one.page.get_by_text("llama3.1:70b").first.wait_for(state="attached")
            _use(view, one.page)
            image = Image.open(io.BytesIO(one.page.screenshot(full_page=True)))
            image = image.crop((0, 0, image.width, min(image.height, _TALLEST)))
            image.convert("RGB").quantize(128).save(_DOCS / f"page-{view}-{width}-{scheme}.png", optimize=True)
            one.close()
        browser.close()
    service.stop()


if __name__ == "__main__":
    main()
