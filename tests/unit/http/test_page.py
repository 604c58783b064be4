"""The page for browsers: who gets it, its headers, its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from yarl import URL

from vllama import __version__
from vllama.config.keys import KeyRing
from vllama.config.schema import Config, Server
from vllama.http.page import is_navigation

WEB = Path(__file__).parents[3] / "vllama" / "web"
FILES = sorted(str(path.relative_to(WEB)) for path in WEB.rglob("*") if path.is_file() and path.name != "index.html")
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


async def ask(server, path, method="GET", **headers):
    url = URL(server.base + path, encoded=True)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with server.session.request(method, url, headers=sent, allow_redirects=False) as answer:
        return answer.status, answer.headers, await answer.text()


@pytest.mark.parametrize(
    ("accept", "mode", "found"),
    [
        (BROWSER, "navigate", True),
        (BROWSER, "", True),  # over plain HTTP browsers don't say more
        ("Text/HTML", "", True),
        ("application/json, text/html", "navigate", True),
        ("application/json, text/html", "cors", False),
        ("*/*", "navigate", False),
        ("*/*", "", False),
        ("", "", False),
    ],
)
def test_only_a_browsers_visit_is_one(accept, mode, found):
    assert is_navigation("GET", {"Accept": accept, "Sec-Fetch-Mode": mode}) is found
    assert not is_navigation("HEAD", {"Accept": accept, "Sec-Fetch-Mode": mode})


async def test_a_browser_gets_the_page_at_the_root_and_a_program_the_text(server):
    status, headers, text = await ask(server, "/", Accept=BROWSER)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert 'src="vllama/web/app.js"' in text
    assert f'content="{__version__}"' in text
    assert headers["Vary"] == "Accept, Sec-Fetch-Mode"
    assert (await ask(server, "/", Accept="*/*"))[2] == "Ollama is running"
    assert "ETag" not in (await ask(server, "/", "HEAD", Accept=BROWSER))[1]


async def test_the_page_is_at_an_address_of_its_own_too(server):
    status, _, text = await ask(server, "/vllama/", Accept="*/*")
    assert (status, 'src="web/app.js"' in text) == (200, True)


@pytest.mark.parametrize(
    "name", ["../../__init__.py", "index.html", "nosuch.js", "", "%2e%2e/__init__.py", "components"]
)
async def test_no_other_file_is_served(server, name):
    status, _, text = await ask(server, f"/vllama/web/{name}")
    assert status in {301, 307, 404}, text


@pytest.mark.parametrize("name", FILES)
async def test_each_file_comes_with_its_type_a_tag_and_a_strict_policy(server, name):
    status, headers, text = await ask(server, f"/vllama/web/{name}")
    assert (status, text) == (200, (WEB / name).read_text())
    kinds = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
    assert headers["Content-Type"].startswith(kinds[Path(name).suffix])
    assert headers["Content-Security-Policy"].startswith("default-src 'self'; img-src 'self' data: blob:; ")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    status, again, text = await ask(server, f"/vllama/web/{name}", If_None_Match=headers["ETag"])
    assert (status, text, again["ETag"]) == (304, "", headers["ETag"])


async def test_a_page_of_another_origin_reads_no_data(server):
    assert (await ask(server, "/vllama/status", Origin="https://evil.example"))[0] == 403
    assert (await ask(server, "/vllama/engines", Origin=server.base))[0] == 200


def test_no_file_names_an_address_of_others():
    """It works without internet, and tells nobody about its readers."""
    for path in WEB.rglob("*.*"):
        others = set(re.findall(r"https?://[^\s\"'`)]+", path.read_text())) - {"http://www.w3.org/2000/svg"}
        assert not others, f"{path.name}: {others}"


class TestWithKeys:
    """Everyone needs a key, and nobody has one."""

    @pytest.fixture
    def config(self) -> Config:
        return Config(server=Server(host="127.0.0.1", port=0, keys="everyone"))

    @pytest.fixture
    def keys(self, tmp_path) -> KeyRing:
        return KeyRing([tmp_path / "keys"])

    @pytest.mark.parametrize("path", ["/", "/vllama/", "/vllama/web/app.js", "/vllama/web/components/key.js"])
    async def test_the_page_needs_no_key(self, server, path):
        assert (await ask(server, path, Accept=BROWSER))[0] == 200

    async def test_its_data_does(self, server):
        assert (await ask(server, "/vllama/engines"))[0] == 401

    async def test_a_foreign_name_gets_no_page(self, server):
        assert (await ask(server, "/vllama/web/app.js", Host="evil.example"))[0] == 403
