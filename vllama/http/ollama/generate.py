"""``POST /api/generate``."""

from __future__ import annotations

import dataclasses
from typing import Any

from aiohttp import web

from vllama.answering.rendering import check_template, insert_prompt
from vllama.errors import BadRequest, NotFound
from vllama.http.bodies import read_body
from vllama.http.checks import check_generates, check_images, check_thinking, check_top_logprobs
from vllama.http.front import desk_of, front_of
from vllama.http.lookup import QUOTED, find_model
from vllama.http.ollama.asking import load_only, read_format, unload, wants_unload
from vllama.http.ollama.replying import OllamaReply
from vllama.http.serving import Order, serve_call
from vllama.models.model import Model
from vllama.translate.ollama.replies import GenerateWriter
from vllama.translate.ollama.requests import GenerateRequest
from vllama.translate.options import Options, read_options
from vllama.translate.pieces import ChatCall, Message, TextCall


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; without one load the model, with ``keep_alive`` 0 unload it."""
    asked = await read_body(request, GenerateRequest)
    check_top_logprobs(asked.top_logprobs)
    typed = asked.model
    if not typed:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), typed)
    reply = OllamaReply(GenerateWriter(typed, context=not asked.raw))
    if wants_unload(asked, empty=not asked.prompt):
        return await unload(request, model, reply)
    if asked.raw and (asked.template or asked.system or asked.context):
        raise BadRequest("raw mode does not support template, system, or context")
    check_thinking(typed, model, asked.think)
    check_generates(typed, model, suffix=bool(asked.suffix))
    if not asked.prompt:
        return await serve_call(request, load_only(model, asked), reply)
    checked = read_options(asked.options, model.parameters)
    if asked.template:  # what is wrong with it is said before anything is loaded
        await check_template(desk_of(request, model), asked.template)
    check_images(typed, model, sum(map(bool, asked.images)))
    model = _personal(model, asked)
    order = Order(
        model,
        (await _call(request, model, asked, checked),),
        stream=asked.stream,
        render_only=asked.render_only,
        keep_alive=asked.keep_alive,
    )
    return await serve_call(request, order, reply)


def _personal(model: Model, asked: GenerateRequest) -> Model:
    """The model with the request's system prompt and template; a client that brings a context wants no stored turns."""
    return dataclasses.replace(
        model,
        system=asked.system or model.system,
        template=asked.template or model.template,
        messages=() if asked.context else model.messages,
    )


async def _call(request: web.Request, model: Model, asked: GenerateRequest, checked: Options) -> ChatCall | TextCall:
    """The prompt as one turn of a chat; raw and fill-in-the-middle prompts go without vLLM's chat template."""
    common: dict[str, Any] = {
        "format": read_format(asked),
        "checked": checked,
        "logprobs": asked.logprobs,
        "top_logprobs": asked.top_logprobs,
        "truncate": asked.truncate,
        "shift": asked.shift,
    }
    if asked.raw:
        return TextCall(prompt=asked.prompt, **common)
    if asked.suffix:
        foreign = bool(asked.template)
        prompt = await insert_prompt(desk_of(request, model), model, asked.prompt, asked.suffix, foreign=foreign)
        return TextCall(prompt=prompt, want_token_ids=True, **common)
    turn = Message(role="user", content=asked.prompt, images=tuple(image for image in asked.images if image))
    return ChatCall(
        messages=(turn,),
        think=asked.think,
        want_token_ids=True,
        context=asked.context,
        foreign_template=bool(asked.template),
        one_pass=True,
        **common,
    )
