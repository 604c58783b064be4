from __future__ import annotations

import asyncio

import orjson
import pytest
from yarl import URL

from vllama.config.schema import Config, Server
from vllama.errors import Busy, ModelUnusable
from vllama.http import pages


async def ask(server, method, path, **more):
    url = URL(server.base + path, encoded=True)
    async with server.session.request(method, url, allow_redirects=False, **more) as answer:
        return answer.status, answer.headers, await answer.read()


@pytest.mark.parametrize("path", ["/nope", "/api", "/API/tags", "/v1", "/api/blobs", "/v1/models/acme%2Fmini"])
async def test_unknown_paths(server, path):
    status, headers, body = await ask(server, "GET", path)
    assert (status, headers["Content-Type"], body) == (404, "text/plain", b"404 page not found")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", "/api/generate", "POST"),
        ("POST", "/api/tags", "HEAD, GET"),
        ("PUT", "/api/blobs/sha256:00", "HEAD, POST"),
        ("POST", "/api/delete", "DELETE"),
        ("HEAD", "/api/ps", "GET"),
    ],
)
async def test_wrong_methods(server, method, path, allow):
    status, headers, body = await ask(server, method, path)
    assert (status, headers["Allow"]) == (405, allow)
    assert body == (b"" if method == "HEAD" else b"405 method not allowed")


@pytest.mark.parametrize(
    ("method", "path", "status", "location"),
    [
        ("GET", "/api/tags/", 301, "/api/tags"),
        ("POST", "/api/chat/?a=b", 307, "/api/chat?a=b"),
        ("GET", "/v1/models/tinychat/", 301, "/v1/models/tinychat"),
        ("POST", "/api/blobs/sha256:00/", 307, "/api/blobs/sha256:00"),
        ("DELETE", "/api/delete/", 307, "/api/delete"),
        ("GET", "/api/tags/.", 307, "/api/tags"),
        ("GET", "/api/tags//", 307, "/api/tags/"),
        ("GET", "//api/tags", 307, "/api/tags"),
        ("POST", "/v1/../api/chat", 307, "/api/chat"),
        ("GET", "/api/./version", 307, "/api/version"),
    ],
)
async def test_redirects(server, method, path, status, location):
    got, headers, body = await ask(server, method, path)
    assert (got, headers["Location"]) == (status, location)
    assert bool(body) == (method == "GET")


async def test_the_page_of_a_redirect_holds_no_markup_of_the_clients(server):
    _, headers, page = await ask(server, "GET", "//api/\"><script>?a=1&b=<i>'x'")
    assert headers["Location"] == "/api/%22%3E%3Cscript%3E?a=1&b=<i>'x'"
    where = b"/api/%22%3E%3Cscript%3E?a=1&amp;b=&lt;i&gt;&#39;x&#39;"
    assert page == b'<a href="' + where + b'">Temporary Redirect</a>.\n\n'


def test_the_address_of_a_redirect_is_ascii():
    raw = "/\u00e9%C3%A9".encode().decode("utf-8", "surrogateescape") + "?\udcff=\u00fc"
    assert pages.redirect("POST", 307, raw).headers["Location"] == "/%C3%A9%C3%A9?%FF=%C3%BC"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/", "text/plain; charset=utf-8"), ("/api/version", "application/json; charset=utf-8"), ("/api/tags", None)],
)
async def test_head_is_get_without_the_body(server, path, kind):
    status, headers, body = await ask(server, "HEAD", path)
    _, got, full = await ask(server, "GET", path)
    assert (status, body, headers["Content-Length"]) == (200, b"", str(len(full)))
    assert headers["Content-Type"] == got["Content-Type"] == (kind or got["Content-Type"])


async def test_foreign_pages_are_refused_everywhere_and_learn_nothing(server):
    for path in ("/api/tags", "/nope", "/metrics"):
        status, headers, body = await ask(server, "GET", path, headers={"Origin": "http://evil.example"})
        assert (status, body) == (403, b"")
        assert "Content-Type" not in headers


async def test_pages_of_this_machine_may_read_answers_errors_and_streams(server):
    for method, path in (("GET", "/api/version"), ("GET", "/api/chat")):
        _, headers, _ = await ask(server, method, path, headers={"Origin": "http://localhost:3000"})
        assert headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert headers["Vary"] == "Origin"


async def test_a_preflight_is_answered_for_any_path(server):
    status, headers, body = await ask(server, "OPTIONS", "/nope", headers={"Origin": "http://localhost:3000"})
    assert (status, body, headers["Access-Control-Max-Age"]) == (204, b"", "43200")


async def test_a_foreign_host_is_refused(server):
    assert (await ask(server, "GET", "/api/version", headers={"Host": "evil.example"}))[0] == 403
    assert (await ask(server, "OPTIONS", "/api/chat", headers={"Host": "localhost"}))[0] == 204
    assert (await ask(server, "OPTIONS", "/api/chat"))[0] == 405


async def test_an_allowed_page_may_read_that_its_host_is_refused(server):
    """Ollama looks at the origin before it looks at the host."""
    page = {"Host": "evil.example", "Origin": "http://localhost:3000"}
    status, headers, body = await ask(server, "GET", "/api/version", headers=page)
    assert (status, headers["Access-Control-Allow-Origin"]) == (403, "http://localhost:3000")
    assert b"server.names" in body
    assert (await ask(server, "OPTIONS", "/api/chat", headers=page))[0] == 204


async def said(server, request: bytes) -> bytes:
    """What comes back for these very bytes."""
    url = URL(server.base)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(request)
    answer = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_address_in_a_proxys_request_line_is_the_one_that_counts(server):
    asked = b"GET http://%s/api/version HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert (await said(server, asked % b"localhost")).startswith(b"HTTP/1.1 200 ")
    assert (await said(server, asked % b"evil.example")).startswith(b"HTTP/1.1 403 ")


async def test_an_expectation_that_is_not_understood_is_refused(server):
    asked = b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nExpect: %s\r\nContent-Length: 0\r\n\r\n"
    assert (await said(server, asked % b"wonders")).startswith(b"HTTP/1.1 417 ")
    assert (await said(server, asked % b"100-continue")).startswith(b"HTTP/1.1 100 ")


async def test_a_slash_too_many_is_a_wrong_path_for_a_method_without_a_route(server):
    assert (await ask(server, "POST", "/api/tags/"))[0] == 404
    assert (await ask(server, "GET", "/api/chat/"))[0] == 404


async def test_the_answer_names_the_request_and_not_our_library(server):
    _, headers, _ = await ask(server, "GET", "/api/version", headers={"X-Request-Id": "abc"})
    assert headers["X-Request-Id"] == "abc"
    assert "Server" not in headers


async def test_a_gzip_body_is_not_unpacked(server):
    status, body = await server.post("/api/show", b"\x1f\x8b\x08")
    assert status == 400
    assert body["error"].startswith("the request is not valid JSON")


async def test_our_errors_have_the_status_and_the_dialect_of_the_path(server):
    server.engines.failure = Busy("server busy, please try again.  maximum pending requests exceeded")
    status, body = await server.post("/api/generate", {"model": "tinychat"})
    assert (status, body) == (503, {"error": server.engines.failure.message})


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat", "/v1/chat/completions", "/v1/messages"])
async def test_an_answer_that_says_try_again_says_when(server, path):
    server.engines.failure = Busy("server busy, please try again.  maximum pending requests exceeded")
    asked = {"model": "tinychat", "prompt": "Hi", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}
    status, headers, _ = await ask(server, "POST", path, data=orjson.dumps(asked))
    assert status == 503
    assert int(headers["Retry-After"]) > 0


async def test_a_hint_comes_with_the_error(server):
    server.engines.failure = ModelUnusable("broken", hint="mend it")
    assert (await server.post("/api/generate", {"model": "tinychat"}))[1] == {"error": "broken\nmend it"}


async def test_what_nobody_expected_is_logged_and_reported_without_a_traceback(server, caplog):
    server.models.failure = RuntimeError("boom")
    status, _, body = await ask(server, "GET", "/api/tags")
    assert (status, orjson.loads(body)) == (500, {"error": "internal error; the server's log says more"})
    assert "boom" in caplog.text


class TestLimits:
    @pytest.fixture
    def config(self):
        return Config(server=Server(host="127.0.0.1", port=0, max_body=1000))

    async def test_a_body_over_the_limit_is_413_in_the_dialect_and_others_are_served_on(self, server):
        big = {"model": "tinychat", "prompt": "x" * 5000}
        status, body = await server.post("/api/generate", big)
        assert status == 413
        assert "1000 bytes" in body["error"]
        assert (await server.post("/api/generate", {"model": "tinychat"}))[0] == 200


async def test_requests_are_measured(server):
    await server.post("/api/generate", {"model": "tinychat", "prompt": "Hi"})
    await server.post("/api/generate", {"model": "nobody", "prompt": "Hi"})
    await asyncio.sleep(0)
    text = server.books.metrics.render()
    assert (
        'vllama_requests_total{dialect="ollama",model="tinychat:latest",route="/api/generate",status="200"} 1.0' in text
    )
    assert 'vllama_requests_total{dialect="ollama",model="",route="/api/generate",status="404"} 1.0' in text
    assert 'vllama_generated_tokens_total{model="tinychat:latest"} 3.0' in text
