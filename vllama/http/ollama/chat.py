"""``POST /api/chat`` (contract 5.3)."""

from __future__ import annotations

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.bodies import read_body
from vllama.http.front import front_of
from vllama.http.lookup import find_model
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
from vllama.quoting import excerpt
from vllama.translate.ollama import native
from vllama.translate.ollama.replies import ChatWriter
from vllama.translate.options import read_options
from vllama.translate.pictures import pictures_of_users
from vllama.translate.pieces import ChatCall
from vllama.translate.tool_choice import functions


async def chat(request: web.Request) -> web.StreamResponse:
    """Continue a conversation; without messages load the model, with ``keep_alive`` 0 unload it."""
    fields = await read_body(request, native.CHAT)
    check_top_logprobs(fields)
    if not fields["model"]:
        raise BadRequest("model is required")
    model = find_model(front_of(request), fields["model"])
    writer = ChatWriter(fields["model"])
    messages = fields["messages"]
    if asked_to_unload(fields, empty=not messages):
        return await unload(request, model, writer)
    check_thinking(fields, model)
    if "completion" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(fields["model"])}" does not support chat')
    if fields["tools"] and "tools" not in model.facts.capabilities:
        raise BadRequest(f"{model.name.full} does not support tools")
    if not messages:
        return await load(request, model, fields, writer)
    read_options(fields["options"], model.parameters)
    check_images(pictures_of_users(messages), fields, model)
    call = ChatCall(
        messages=tuple(messages),
        tools=functions(fields["tools"]),
        think=fields["think"],
        format=read_format(request, fields),
        options=fields["options"],
        logprobs=fields["logprobs"],
        top_logprobs=fields["top_logprobs"],
        truncate=fields["truncate"] is not False,
        shift=fields["shift"] is not False,
    )
    if fields["_debug_render_only"]:
        return await render_only(request, model, call, writer)
    return await answer_call(
        request, model, call, writer, stream=fields["stream"] is not False, keep_alive=fields["keep_alive"]
    )
