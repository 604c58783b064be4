"""/v1/chat/completions and /v1/completions of the fake engine, streamed and whole."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web

from tests.fakes import answers, validate
from tests.fakes.answers import GrammarError, Token
from tests.fakes.batch import Batch, Sequence
from tests.fakes.script import Script
from tests.fakes.validate import Refused
from tests.fakes.wire import DONE, Answer, error, event

_STREAM = {"Content-Type": "text/event-stream; charset=utf-8"}


@dataclass
class Served:
    """What the flags say about the model."""

    names: list[str]
    path: str
    max_model_len: int
    tools: bool
    thinks: bool
    embeds: bool
    width: int = 8
    """Numbers in an embedding."""
    lora: bool = False
    """Whether adapters can be loaded while it runs."""
    eyes: bool = False
    """Whether it takes pictures."""
    sleeps: bool = False
    """Whether it can give its memory back and keep its process."""


class Generating:
    """Handlers of the two generation routes."""

    def __init__(self, served: Served, script: Script, batch: Batch) -> None:
        self._served = served
        self._script = script
        self._batch = batch
        self.seen: list[dict[str, Any]] = []
        """Bodies of the last requests, for tests that look at what was sent."""

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        body = await self._body(request)
        validate.check_messages(body, self._served.names[0], eyes=self._served.eyes)
        words = answers.rendered(body["messages"])
        switch = (body.get("chat_template_kwargs") or {}).get("enable_thinking", True)
        prompt = answers.last_words(body["messages"])
        return await self._generate(request, body, words, prompt, chat=True, thinks=self._served.thinks and switch)

    async def completions(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/completions."""
        body = await self._body(request)
        prompt = body.get("prompt")
        if not prompt:
            raise Refused("Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)", "prompt")
        if isinstance(prompt, list) and isinstance(prompt[0], str):
            prompt = prompt[0]
        words = answers.split(prompt) if isinstance(prompt, str) else [str(number) for number in prompt]
        body.setdefault("max_tokens", 16)
        return await self._generate(request, body, words, "".join(words), chat=False, thinks=False)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body = decode(await request.read())
        self.seen = [*self.seen[-99:], body]
        validate.check_model(body, self._served.names)
        validate.check_parameters(
            body,
            max_model_len=self._served.max_model_len,
            max_stops=int(os.environ.get("VLLM_MAX_STOP_STRINGS", "4")),
            tools=self._served.tools,
        )
        if self._script.refuse > 0:
            self._script.refuse -= 1
            busy = "The engine is currently busy and cannot accept new requests. Please try again later."
            raise Refused(busy, None, 503, "Service Unavailable")
        if self._script.failing_warmup:
            raise Refused(self._script.failing_warmup, None, 500, "InternalServerError")
        return body

    async def _generate(
        self, request: web.Request, body: dict[str, Any], words: list[str], prompt: str, *, chat: bool, thinks: bool
    ) -> web.StreamResponse:
        room = self._served.max_model_len
        keep = body.get("truncate_prompt_tokens")
        if keep is not None:
            words = words[-(room - 1 if keep == -1 else keep) :]
        validate.check_length(len(words), room)
        limit = body.get("max_completion_tokens") or body.get("max_tokens") or room
        sequence = Sequence(
            answers.answer(body, prompt, thinks=thinks, fixed=self._script.text),
            min(limit, room - len(words)),
            validate.stop_strings(body),
        )
        named = request.headers.get("X-Request-Id")
        if named:
            body["request_id"] = named
        ids = [answers.token_id(word) for word in words]
        writer = Answer(self._served.names[0], body, ids, sequence, chat=chat)
        try:
            answers.check_grammar(body)
        except GrammarError as wrong:
            if not body.get("stream"):
                raise Refused(str(wrong)) from wrong
            return await self._stream_text(request, event(error(400, str(wrong))) + DONE)
        self._batch.prompt_tokens += len(words)
        self._batch.add(sequence)
        try:
            if body.get("stream"):
                return await self._stream(request, writer, sequence)
            return await self._whole(writer, sequence)
        finally:
            self._batch.remove(sequence)

    async def _whole(self, writer: Answer, sequence: Sequence) -> web.Response:
        tokens: list[Token] = []
        async for fresh in sequence.arrivals():
            tokens += fresh
        if sequence.finish in {"error", "close"}:
            dead = "EngineCore encountered an issue. See stack trace (above) for the root cause."
            raise Refused(dead, None, 500, "InternalServerError")
        return web.Response(body=orjson.dumps(writer.whole(tokens)), content_type="application/json")

    async def _stream(self, request: web.Request, writer: Answer, sequence: Sequence) -> web.StreamResponse:
        answer = web.StreamResponse(headers=_STREAM)
        async for fresh in sequence.arrivals():
            if not answer.prepared:
                await answer.prepare(request)
            await self._write(answer, writer.events(fresh))
        if not answer.prepared:
            await answer.prepare(request)
        if sequence.finish == "close":
            if request.transport is not None:
                request.transport.close()
            return answer
        await self._write(answer, writer.ending())
        await answer.write_eof()
        return answer

    @staticmethod
    async def _stream_text(request: web.Request, text: bytes) -> web.StreamResponse:
        answer = web.StreamResponse(headers=_STREAM)
        await answer.prepare(request)
        await answer.write(text)
        await answer.write_eof()
        return answer

    async def _write(self, answer: web.StreamResponse, data: bytes) -> None:
        step = self._script.dribble or len(data) or 1
        for at in range(0, len(data), step):
            await answer.write(data[at : at + step])


def decode(raw: bytes) -> dict[str, Any]:
    """A JSON object or vLLM's refusal."""
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as wrong:
        message = f"1 validation error:\n  {{'type': 'json_invalid', 'loc': 'body.1', 'msg': '{wrong}'}}"
        raise Refused(message, "body.1", 400, "Bad Request") from wrong
    if not isinstance(body, dict):
        raise Refused("1 validation error:\n  {'type': 'model_attributes_type'}", "body", 400, "Bad Request")
    return body
