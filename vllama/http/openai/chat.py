"""OpenAI's older routes: chat completions, text completions, embeddings, models (contract 6.2 to 6.5)."""

from __future__ import annotations

import time
from typing import Any

from aiohttp import web

from vllama.answering import embedding
from vllama.answering.choices import open_choices
from vllama.answering.debugging import rendered_prompt
from vllama.answering.embedding import units
from vllama.errors import BadRequest, NotFound
from vllama.http.dialects import fresh_id, model_for_chat, reading
from vllama.http.front import desk_of, front_of
from vllama.http.lookup import PULL_FIRST, QUOTED, find_model, get_model, read_name
from vllama.http.ollama.asking import check_top_logprobs
from vllama.http.sse import write_events
from vllama.models.fim import fill_in_the_middle
from vllama.models.model import Model
from vllama.quoting import excerpt
from vllama.supervisor.port import Wish
from vllama.translate.engine.embeddings import Inputs, read_input
from vllama.translate.openai.completions_replies import completion_answer, completion_streams
from vllama.translate.openai.completions_requests import (
    CompletionRequest,
    EmbeddingRequest,
    read_completion,
    read_embedding,
    token_lists,
)
from vllama.translate.openai.listing import embeddings_answer, model_answer, model_entry, model_list
from vllama.translate.openai.replies import ReplyHead, chat_answer, chat_streams, rendered_answer
from vllama.translate.openai.requests import ChatRequest, read_chat
from vllama.translate.options import read_options
from vllama.translate.pieces import ChatCall, Ending, Message, TextCall
from vllama.translate.whole import EMPTY

_JSON = {"Content-Type": "application/json"}
_EVENTS = {"Content-Type": "text/event-stream"}


async def chat_completions(request: web.Request, asked: ChatRequest) -> web.StreamResponse:
    """Continue a conversation."""
    model = model_for_chat(request, asked.model, asked.call)
    head = ReplyHead(fresh_id("chatcmpl-"), int(time.time()), asked.model)
    if not asked.call.messages:
        return await _load_for_chat(request, model, asked, head)
    if asked.render_only:
        return web.Response(
            body=rendered_answer(head, await rendered_prompt(desk_of(request, model), model, asked.call)), headers=_JSON
        )
    async with open_choices(
        desk_of(request, model), Wish(model), asked.call, count=asked.choices, parallel_calls=asked.parallel_calls
    ) as choices:
        if asked.stream:
            writers = chat_streams(head, include_usage=asked.include_usage, choices=asked.choices)
            return await write_events(request, choices, writers)
        body = chat_answer(head, await choices.gather())
        return web.Response(body=body, headers={**_JSON, **choices.headers})


async def _load_for_chat(request: web.Request, model: Model, asked: ChatRequest, head: ReplyHead) -> web.Response:
    """Messages without any part say nothing: the model is loaded, as by an empty conversation."""
    async with desk_of(request, model).engines.lease(Wish(model)):
        if not asked.stream:
            return web.Response(body=chat_answer(head, [EMPTY], reason="load"), headers=_JSON)
        (writer,) = chat_streams(head, include_usage=asked.include_usage)
        return web.Response(body=writer.finish(Ending("stop"), reason="load"), headers=_EVENTS)


async def completions(request: web.Request, asked: CompletionRequest) -> web.StreamResponse:
    """Answer a prompt, inside the model's chat template; an empty one only loads the model."""
    model = _model_for_prompt(request, asked)
    head = ReplyHead(fresh_id("cmpl-"), int(time.time()), asked.model)
    count = asked.choices * max(1, len(asked.prompts))
    writers = completion_streams(head, include_usage=asked.include_usage, choices=count, each=asked.choices)
    if not asked.prompts:
        async with desk_of(request, model).engines.lease(Wish(model)):
            if not asked.stream:
                return web.Response(body=completion_answer(head, [EMPTY], reason="load"), headers=_JSON)
            loaded = b"".join([writer.finish(Ending("stop"), reason="load") for writer in writers])
            return web.Response(body=loaded, headers=_EVENTS)
    calls = [_text_call(asked, prompt, model) for prompt in asked.prompts]
    async with open_choices(desk_of(request, model), Wish(model), *calls, count=asked.choices) as choices:
        if asked.stream:
            return await write_events(request, choices, writers)
        body = completion_answer(head, await choices.gather(), each=asked.choices)
        return web.Response(body=body, headers={**_JSON, **choices.headers})


def _model_for_prompt(request: web.Request, asked: CompletionRequest) -> Model:
    """The model of a prompt, checked in the order of Ollama's generate (contract 5.2)."""
    check_top_logprobs({"top_logprobs": asked.logprobs or 0})
    if not asked.model:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), asked.model)
    if "completion" not in model.facts.capabilities:
        raise BadRequest(f'"{excerpt(asked.model)}" does not support generate')
    if asked.suffix and "insert" not in model.facts.capabilities:
        raise BadRequest(f"{model.name.full} does not support insert")
    read_options(asked.options, model.parameters)
    return model


def _text_call(asked: CompletionRequest, prompt: str | tuple[int, ...], model: Model) -> ChatCall | TextCall:
    """A text inside the chat template; tokens as they are, for whoever sends them has applied one."""
    common: dict[str, Any] = {
        "options": asked.options,
        "engine_fields": asked.engine_fields,
        "logprobs": asked.logprobs is not None,
        "top_logprobs": asked.logprobs or 0,
    }
    if not isinstance(prompt, str):
        return TextCall(prompt, **common)
    if asked.suffix:
        return TextCall(fill_in_the_middle(prompt, asked.suffix, model.facts.special_tokens), **common)
    return ChatCall((Message("user", prompt),), **common)


async def embeddings(request: web.Request, asked: EmbeddingRequest) -> web.Response:
    """Vectors of length 1, as numbers or as packed floats."""
    texts: Inputs = token_lists(asked.input) or ([""] if asked.input == "" else read_input(asked.input))
    if not asked.model:
        raise NotFound(QUOTED.format(""))
    model = find_model(front_of(request), asked.model, missing=PULL_FIRST)
    found = await embedding.embed(desk_of(request, model), Wish(model), texts)
    vectors = await units(found.vectors, asked.dimensions)
    return web.Response(body=embeddings_answer(asked.model, vectors, found.tokens, base64=asked.base64), headers=_JSON)


async def list_models(request: web.Request) -> web.Response:
    """All models, newest first."""
    models = sorted(front_of(request).models.all(), key=lambda model: -model.modified_at)
    entries = [model_entry(model.name.short, model.modified_at, model.name.namespace) for model in models]
    return web.Response(body=model_list(entries), headers=_JSON)


async def retrieve_model(request: web.Request) -> web.Response:
    """One model; it is named as in the address."""
    typed = request.match_info["model"]
    name = read_name(typed)
    model = get_model(front_of(request), name, QUOTED.format(name.short))
    return web.Response(body=model_answer(model_entry(typed, model.modified_at, name.namespace)), headers=_JSON)


routes = [
    web.post("/v1/chat/completions", reading(read_chat, chat_completions)),
    web.post("/v1/completions", reading(read_completion, completions)),
    web.post("/v1/embeddings", reading(read_embedding, embeddings)),
    web.get("/v1/models", list_models, allow_head=False),
    web.get("/v1/models/{model}", retrieve_model, allow_head=False),
]
