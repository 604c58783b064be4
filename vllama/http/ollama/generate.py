"""``POST /api/generate`` (contract 5.2)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from vllama.answering.rendering import check_template, insert_prompt
from vllama.errors import BadRequest, NotFound
from vllama.http.bodies import read_body
from vllama.http.front import desk_of, front_of
from vllama.http.lookup import QUOTED, find_model
from vllama.http.ndjson import answer_call
from vllama.http.ollama.asking import (
    asked_to_unload,
    check_images,
    check_thinking,
    check_top_logprobs,
    load,
    read_format,
    render_only,
    unload,
)
from vllama.models.model import Model
from vllama.quoting import excerpt
from vllama.translate.ollama import native
from vllama.translate.ollama.replies import GenerateWriter
from vllama.translate.options import read_options
from vllama.translate.pieces import ChatCall, Message, TextCall


async def generate(request: web.Request) -> web.StreamResponse:
    """Answer a prompt; without one load the model, with ``keep_alive`` 0 unload it."""
    fields = await read_body(request, native.GENERATE)
    check_top_logprobs(fields)
    if not fields["model"]:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), fields["model"])
    writer = GenerateWriter(fields["model"], context=not fields["raw"])
    if asked_to_unload(fields, empty=not fields["prompt"]):
        return await unload(request, model, writer)
    if fields["raw"] and (fields["template"] or fields["system"] or fields["context"]):
        raise BadRequest("raw mode does not support template, system, or context")
    check_thinking(fields, model)
    if "completion" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(fields["model"])}" does not support generate')
    if fields["suffix"] and "insert" not in model.facts.capabilities:
        raise BadRequest(f"{model.name.full} does not support insert")
    if not fields["prompt"]:
        return await load(request, model, fields, writer)
    read_options(fields["options"], model.parameters)
    if fields["template"]:
        # what is wrong with it is told before anything is loaded
        await check_template(desk_of(request, model), fields["template"])
    check_images(sum(map(bool, fields["images"])), fields, model)
    model = _personal(model, fields)
    call = await _call(request, model, fields)
    if fields["_debug_render_only"] and isinstance(call, ChatCall):
        return await render_only(request, model, call, writer)
    return await answer_call(
        request, model, call, writer, stream=fields["stream"] is not False, keep_alive=fields["keep_alive"]
    )


def _personal(model: Model, fields: Mapping[str, Any]) -> Model:
    """The model with the request's system prompt and template; a client that brings a context wants no stored turns."""
    return dataclasses.replace(
        model,
        system=fields["system"] or model.system,
        template=fields["template"] or model.template,
        messages=() if fields["context"] else model.messages,
    )


async def _call(request: web.Request, model: Model, fields: Mapping[str, Any]) -> ChatCall | TextCall:
    """The prompt as one turn of a chat; raw and fill-in-the-middle prompts go without vLLM's chat template."""
    common: dict[str, Any] = {
        "format": read_format(request, fields),
        "options": fields["options"],
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
