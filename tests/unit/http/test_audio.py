"""``/v1/audio/transcriptions``: the form is checked in Ollama's words."""

from __future__ import annotations

import aiohttp
import pytest

PATH = "/v1/audio/transcriptions"


def form(**fields: str | bytes) -> aiohttp.FormData:
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value, filename="a.wav" if isinstance(value, bytes) else None)
    return made


@pytest.mark.parametrize(
    ("sent", "status", "text"),
    [
        (form(file=b"RIFF"), 400, "model is required"),
        (form(model="tinychat"), 400, "file is required: http: no such file"),
        (form(model="tinychat", file="text"), 400, "file is required: http: no such file"),
        (form(model="tinychat", file=b""), 400, "audio file is empty"),
        (form(model="nobody", file=b"RIFF"), 404, "model 'nobody' not found"),
        (form(model="tinychat", file=b"RIFF"), 400, '"tinychat" does not support audio'),
    ],
)
async def test_what_is_wrong_is_reported(server, sent, status, text):
    async with server.session.post(server.base + PATH, data=sent) as answer:
        assert (answer.status, (await answer.json())["error"]["message"]) == (status, text)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/json", "request Content-Type isn't multipart/form-data"),
        ("multipart/form-data", "no multipart boundary param in Content-Type"),
        ("multipart/form-data; boundary=x", ""),
    ],
)
async def test_a_body_that_is_no_form_is_refused(server, kind, text):
    async with server.session.post(server.base + PATH, data=b"hello", headers={"Content-Type": kind}) as answer:
        reported = (await answer.json())["error"]["message"]
        assert answer.status == 400
        assert reported.startswith(f"failed to parse multipart form: {text}")
