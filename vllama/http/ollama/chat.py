"""``POST /api/chat``."""

from __future__ import annotations

from aiohttp import web

from vllama.errors import BadRequest
from vllama.http.bodies import read_body
from vllama.http.checks import check_chats, check_images, check_thinking, check_top_logprobs
from vllama.http.front import front_of
from vllama.http.lookup import find_model
from vllama.http.ollama.asking import load_only, read_format, unload, wants_unload
from vllama.http.ollama.replying import OllamaReply
from vllama.http.serving import Order, serve_call
from vllama.translate.ollama.replies import ChatWriter
from vllama.translate.ollama.requests import ChatRequest
from vllama.translate.options import read_options
from vllama.translate.pictures import pictures_of_users
from vllama.translate.pieces import ChatCall
from vllama.translate.tool_choice import functions


async def chat(request: web.Request) -> web.StreamResponse:
    """Continue a conversation; without messages load the model, with ``keep_alive`` 0 unload it."""
    asked = await read_body(request, ChatRequest)
    check_top_logprobs(asked.top_logprobs)
    typed, messages = asked.model, asked.turns()
    if not typed:
        raise BadRequest("model is required")
    model = find_model(front_of(request), typed)
    reply = OllamaReply(ChatWriter(typed))
    if wants_unload(asked, empty=not messages):
        return await unload(request, model, reply)
    check_thinking(typed, model, asked.think)
    check_chats(typed, model, tools=bool(asked.tools))
    if not messages:
        return await serve_call(request, load_only(model, asked), reply)
    checked = read_options(asked.options, model.parameters)
    check_images(typed, model, pictures_of_users(messages))
    call = ChatCall(
        messages=messages,
        tools=functions(asked.tools),
        think=asked.think,
        format=read_format(asked),
        checked=checked,
        logprobs=asked.logprobs,
        top_logprobs=asked.top_logprobs,
        truncate=asked.truncate,
        shift=asked.shift,
    )
    order = Order(
        model,
        (call,),
        stream=asked.stream,
        render_only=asked.render_only,
        keep_alive=asked.keep_alive,
    )
    return await serve_call(request, order, reply)
