"""``POST /api/chat``."""

from __future__ import annotations

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.bodies import read_body
from vllama.http.checks import check_chats, check_images, check_thinking, check_top_logprobs
from vllama.http.front import front_of
from vllama.http.lookup import find_model
from vllama.http.ollama.asking import asked_to_unload, load_only, read_format, unload
from vllama.http.ollama.replying import OllamaReply
from vllama.http.serving import Order, serve_call
from vllama.translate.ollama import native
from vllama.translate.ollama.replies import ChatWriter
from vllama.translate.options import read_options
from vllama.translate.pictures import pictures_of_users
from vllama.translate.pieces import ChatCall
from vllama.translate.tool_choice import functions


async def chat(request: web.Request) -> web.StreamResponse:
    """Continue a conversation; without messages load the model, with ``keep_alive`` 0 unload it."""
    fields = await read_body(request, native.CHAT)
    check_top_logprobs(fields["top_logprobs"])
    typed, messages = fields["model"], fields["messages"]
    if not typed:
        raise BadRequest("model is required")
    model = find_model(front_of(request), typed)
    reply = OllamaReply(ChatWriter(typed))
    if asked_to_unload(fields, empty=not messages):
        return await unload(request, model, reply)
    check_thinking(typed, model, fields["think"])
    check_chats(typed, model, tools=bool(fields["tools"]))
    if not messages:
        return await serve_call(request, load_only(model, fields), reply)
    checked = read_options(fields["options"], model.parameters)
    check_images(typed, model, pictures_of_users(messages))
    call = ChatCall(
        messages=tuple(messages),
        tools=functions(fields["tools"]),
        think=fields["think"],
        format=read_format(request, fields),
        checked=checked,
        logprobs=fields["logprobs"],
        top_logprobs=fields["top_logprobs"],
        truncate=fields["truncate"] is not False,
        shift=fields["shift"] is not False,
    )
    order = Order(
        model,
        (call,),
        stream=fields["stream"] is not False,
        render_only=bool(fields["_debug_render_only"]),
        keep_alive=fields["keep_alive"],
    )
    return await serve_call(request, order, reply)
