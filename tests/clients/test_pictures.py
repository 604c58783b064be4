"""Pictures as the users of each client send them; the fake model tells what bytes it saw."""

from __future__ import annotations

import base64
from pathlib import Path

import anthropic
import ollama
import openai
import pytest

PNG = bytes.fromhex("89504e470d0a1a0a") + bytes(60)
JPEG = bytes.fromhex("ffd8ffe0") + bytes(40)
SEEN_PNG, SEEN_JPEG = "[picture of 68 bytes: 89504e47]", "[picture of 44 bytes: ffd8ffe0]"
TEXT = "What is it?"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "picture.png").write_bytes(PNG)
    return tmp_path / "picture.png"


@pytest.mark.parametrize("form", ["path", "bytes", "base64"])
async def test_ollama_chat_takes_paths_bytes_and_base64(base_url: str, file: Path, form: str):
    picture = {"path": str(file), "bytes": PNG, "base64": base64.b64encode(PNG).decode()}[form]
    async with ollama.AsyncClient(host=base_url) as client:
        turn = {"role": "user", "content": TEXT, "images": [picture]}
        answer = await client.chat("looker", [turn], think=False)
        assert answer.message.content == f"{SEEN_PNG}\n{TEXT}"


async def test_ollama_generate_takes_several_and_puts_them_where_the_text_says(base_url: str):
    async with ollama.AsyncClient(host=base_url) as client:
        answer = await client.generate("looker", "first [img] then [img]", images=[PNG, JPEG], think=False)
        assert answer.response.split("\n") == ["first ", SEEN_PNG, " then ", SEEN_JPEG]
        parts = [part async for part in await client.generate("looker", TEXT, images=[PNG], think=False, stream=True)]
        assert "".join(part.response for part in parts) == f"{SEEN_PNG}\n{TEXT}"


async def test_ollamas_api_says_which_models_can_not_see(base_url: str):
    async with ollama.AsyncClient(host=base_url) as client:
        assert "vision" in (await client.show("looker")).capabilities
        with pytest.raises(ollama.ResponseError, match='"tinychat" does not support vision') as caught:
            await client.generate("tinychat", TEXT, images=[PNG])
        assert caught.value.status_code == 400


@pytest.mark.parametrize(("kind", "data", "seen"), [("png", PNG, SEEN_PNG), ("jpeg", JPEG, SEEN_JPEG)])
async def test_openai_takes_data_urls(base_url: str, kind: str, data: bytes, seen: str):
    url = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    parts = [{"type": "text", "text": TEXT}, {"type": "image_url", "image_url": {"url": url}}]
    async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0) as client:
        answer = await client.chat.completions.create(
            model="looker", messages=[{"role": "user", "content": parts}], reasoning_effort="none"
        )
        assert answer.choices[0].message.content == f"{seen}\n{TEXT}"
        parts[1]["image_url"] = {"url": "https://example.org/x.png"}
        with pytest.raises(openai.BadRequestError, match="image URLs are not currently supported"):
            await client.chat.completions.create(model="looker", messages=[{"role": "user", "content": parts}])


async def test_openai_responses_take_pictures(base_url: str):
    url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    parts = [{"type": "input_text", "text": TEXT}, {"type": "input_image", "image_url": url}]
    async with openai.AsyncOpenAI(base_url=f"{base_url}/v1", api_key="any", max_retries=0) as client:
        answer = await client.responses.create(
            model="looker", input=[{"role": "user", "content": parts}], reasoning={"effort": "none"}
        )
        assert answer.output_text == f"{SEEN_PNG}\n{TEXT}"


async def test_anthropic_takes_base64_sources(base_url: str):
    source = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(PNG).decode()}
    parts = [{"type": "image", "source": source}, {"type": "text", "text": TEXT}]
    async with anthropic.AsyncAnthropic(base_url=base_url, api_key="any", max_retries=0) as client:
        answer = await client.messages.create(
            model="looker",
            max_tokens=200,
            messages=[{"role": "user", "content": parts}],
            thinking={"type": "disabled"},
        )
        assert answer.content[0].text == f"{SEEN_PNG}\n{TEXT}"
