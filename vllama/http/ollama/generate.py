"""``POST /api/generate``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from vllama.answering.rendering import check_template, insert_prompt
from vllama.errors import BadRequest, NotFound
from vllama.http.bodies import read_body
from vllama.http.checks import check_generates, check_images, check_thinking, check_top_logprobs
from vllama.http.front import desk_of, front_of
from vllama.http.lookup import QUOTED, find_model
from vllama.http.ollama.asking import asked_to_unload, load_only, read_format, unload
from vllama.http.ollama.replying import OllamaReply
from vllama.http.serving import Order, serve_call
from vllama.models.model import Model
from vllama.translate.ollama import native
from vllama.translate.ollama.replies import GenerateWriter
from vllama.translate.options import Options, read_options
from vllama.translate.pieces import ChatCall, Message, TextCall


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; without one load the model, with ``keep_alive`` 0 unload it."""
    fields = await read_body(request, native.GENERATE)
    check_top_logprobs(fields["top_logprobs"])
    typed = fields["model"]
    if not typed:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), typed)
    reply = OllamaReply(GenerateWriter(typed, context=not fields["raw"]))
    if asked_to_unload(fields, empty=not fields["prompt"]):
        return await unload(request, model, reply)
    if fields["raw"] and (fields["template"] or fields["system"] or fields["context"]):
        raise BadRequest("raw mode does not support template, system, or context")
    check_thinking(typed, model, fields["think"])
    check_generates(typed, model, suffix=bool(fields["suffix"]))
    if not fields["prompt"]:
        return await serve_call(request, load_only(model, fields), reply)
    checked = read_options(fields["options"], model.parameters)
    if fields["template"]:  # what is wrong with it is said before anything is loaded
        await check_template(desk_of(request, model), fields["template"])
    check_images(typed, model, sum(map(bool, fields["images"])))
    model = _personal(model, fields)
    order = Order(
        model,
        (await _call(request, model, fields, checked),),
        stream=fields["stream"] is not False,
        render_only=bool(fields["_debug_render_only"]),
        keep_alive=fields["keep_alive"],
    )
    return await serve_call(request, order, reply)


def _personal(model: Model, fields: Mapping[str, Any]) -> Model:
    """The model with the request's system prompt and template; a client that brings a context wants no stored turns."""
    return dataclasses.replace(
        model,
        system=fields["system"] or model.system,
        template=fields["template"] or model.template,
        messages=() if fields["context"] else model.messages,
    )


async def _call(request: web.Request, model: Model, fields: Mapping[str, Any], checked: Options) -> ChatCall | TextCall:
    """The prompt as one turn of a chat; raw and fill-in-the-middle prompts go without vLLM's chat template."""
    common: dict[str, Any] = {
        "format": read_format(request, fields),
        "checked": checked,
        "logprobs": fields["logprobs"],
        "top_logprobs": fields["top_logprobs"],
        "truncate": fields["truncate"] is not False,
        "shift": fields["shift"] is not False,
    }
    if fields["raw"]:
        return TextCall(prompt=fields["prompt"], **common)
    if fields["suffix"]:
        foreign = bool(fields["template"])
        prompt = await insert_prompt(
            desk_of(request, model), model, fields["prompt"], fields["suffix"], foreign=foreign
        )
        return TextCall(prompt=prompt, want_token_ids=True, **common)
    turn = Message(role="user", content=fields["prompt"], images=tuple(image for image in fields["images"] if image))
    return ChatCall(
        messages=(turn,),
        think=fields["think"],
        want_token_ids=True,
        context=tuple(fields["context"]),
        foreign_template=bool(fields["template"]),
        one_pass=True,
        **common,
    )
