"""OpenAI's older routes: chat completions, completions, embeddings, models and transcriptions."""

from __future__ import annotations

from aiohttp import web

from vllama.http.dialects import reading
from vllama.http.openai import audio, chat, completions, embeddings, listing
from vllama.translate.openai.completions_requests import read_completion, read_embedding
from vllama.translate.openai.requests import read_chat

routes = [
    web.post("/v1/chat/completions", reading(read_chat, chat.chat_completions)),
    web.post("/v1/completions", reading(read_completion, completions.completions)),
    web.post("/v1/embeddings", reading(read_embedding, embeddings.embeddings)),
    web.get("/v1/models", listing.list_models, allow_head=False),
    web.get("/v1/models/{model}", listing.retrieve_model, allow_head=False),
    web.post("/v1/audio/transcriptions", audio.transcriptions),
]
