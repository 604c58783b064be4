"""The fake engine's HTTP surface and its life between ready and gone."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import uuid
import zlib
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from tests.fakes import answers, validate
from tests.fakes.batch import Batch
from tests.fakes.children import Children
from tests.fakes.generating import Generating, Served, decode
from tests.fakes.script import Script
from tests.fakes.stages import Output
from tests.fakes.validate import Refused
from tests.fakes.wire import error

_BACKLOG = 2048  # uvicorn's


class FakeEngine:
    """One engine that is up; ``serve`` returns its exit status."""

    def __init__(self, served: Served, script: Script, children: Children, output: Output) -> None:
        self._served = served
        self._script = script
        self._first_script = asdict(script)
        self._children = children
        self._output = output
        self._hung = False
        self._asleep = False
        self._stopping = asyncio.Event()
        self.batch = Batch(script, self._paused, self._trouble)
        self._generating = Generating(served, script, self.batch)

    # --- life

    async def serve(self, socket: Path | None, host: str, port: int, drain: float) -> int:
        """Listen and stay until SIGTERM (0), the death of a child (0) or scripted trouble."""
        # vLLM aborts a request as soon as its client has left
        runner = web.AppRunner(self._app(), handler_cancellation=True, access_log=None)
        await runner.setup()
        site = web.UnixSite(runner, str(socket), backlog=_BACKLOG) if socket else web.TCPSite(runner, host, port)
        await site.start()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_sigterm)
        self._output.uvicorn("Application startup complete.")
        async with asyncio.TaskGroup() as tasks:
            steps = tasks.create_task(self.batch.run())
            watch = tasks.create_task(self._watch_children())
            await self._stopping.wait()
            watch.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(drain):
                    await self.batch.idle()
            steps.cancel()
        self.batch.end_all("error" if self._children.dead else "abort")
        await runner.cleanup()
        if not self._script.leave_children:
            self._children.kill()
        return 0

    def _on_sigterm(self) -> None:
        if not self._script.ignore_sigterm:
            self._stopping.set()

    async def _watch_children(self) -> None:
        while not self._children.dead:
            await asyncio.sleep(0.05)
        self._output.say("APIServer", "EngineCore died unexpectedly", "ERROR")
        self.batch.end_all("error")
        await asyncio.sleep(self._script.death_seconds)
        self._stopping.set()

    def _paused(self) -> bool:
        return self._hung or self._asleep or self._children.stopped or self._children.dead

    def _trouble(self) -> None:
        script = self._script
        trouble = script.trouble
        if script.once:
            script.trouble = ""
        if trouble == "exit":
            if not script.leave_children:
                self._children.kill()
            os._exit(script.exit_code)
        elif trouble == "signal":
            os.kill(os.getpid(), script.signal)
        elif trouble == "core_dies":
            script.trouble = ""
            os.kill(self._children.pids[0], signal.SIGKILL)
            self._hung = True
        elif trouble == "hang":
            self._hung = True
        elif trouble in {"error", "abort", "close"}:
            if script.once:
                self.batch.running[0].end(trouble)
            else:
                self.batch.end_all(trouble)
        else:
            raise ValueError(f"no such trouble: {trouble}")

    # --- routes

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[_errors], client_max_size=1 << 30)
        app.add_routes(
            [
                web.get("/health", self._health),
                web.get("/ping", self._health),
                web.get("/version", self._version),
                web.get("/metrics", self._metrics),
                web.get("/v1/models", self._models),
                web.post("/tokenize", self._tokenize),
                web.post("/v1/load_lora_adapter", self._load_adapter),
                web.get("/is_sleeping", self._is_sleeping),
                web.get("/fake/state", self._state),
                web.post("/fake/script", self._rescript),
                web.post("/fake/reset", self._reset),
            ]
        )
        if self._served.sleeps:
            app.router.add_post("/sleep", self._sleep)
            app.router.add_post("/wake_up", self._sleep)
        if self._served.embeds:
            app.router.add_post("/v1/embeddings", self._embeddings)
        else:
            app.router.add_post("/v1/chat/completions", self._generating.chat)
            app.router.add_post("/v1/completions", self._generating.completions)
        return app

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(status=503 if self._children.dead else 200)

    async def _sleep(self, request: web.Request) -> web.Response:
        self._asleep = request.path == "/sleep"
        return _json({"status": "sleeping" if self._asleep else "awake"})

    async def _is_sleeping(self, _: web.Request) -> web.Response:
        return _json({"is_sleeping": self._asleep})

    async def _version(self, _: web.Request) -> web.Response:
        return _json({"version": "0.32.0"})

    async def _models(self, _: web.Request) -> web.Response:
        served = self._served
        entries = [
            {
                "id": name,
                "object": "model",
                "created": 1795271050,
                "owned_by": "vllm",
                "root": served.path,
                "parent": None,
                "max_model_len": served.max_model_len,
            }
            for name in served.names
        ]
        return _json({"object": "list", "data": entries})

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = decode(await request.read())
        words = answers.split(body["prompt"]) if "prompt" in body else answers.rendered(body["messages"])
        tokens = [answers.token_id(word) for word in words]
        limit = self._served.max_model_len
        return _json({"count": len(words), "max_model_len": limit, "tokens": tokens, "token_strs": None})

    async def _embeddings(self, request: web.Request) -> web.Response:
        body = decode(await request.read())
        validate.check_model(body, self._served.names)
        given = body.get("input")
        inputs = [given] if isinstance(given, str) or (given and isinstance(given[0], int)) else given
        if not inputs:
            raise Refused("You must pass at least one prompt")
        if body.get("dimensions"):
            message = (
                f"Model '{self._served.names[0]}' does not support Matryoshka embeddings; dimensions must be unset"
            )
            raise Refused(message, "dimensions")
        count = 0
        for text in inputs:
            tokens = len(answers.split(text)) + 2 if isinstance(text, str) else len(text)
            if "truncate_prompt_tokens" in body:
                tokens = min(tokens, self._served.max_model_len)
            validate.check_length(tokens - 1, self._served.max_model_len)
            count += tokens
        width = self._served.width
        data = [
            {"index": at, "object": "embedding", "embedding": _vector(str(text), width)}
            for at, text in enumerate(inputs)
        ]
        usage = {"prompt_tokens": count, "total_tokens": count, "completion_tokens": 0, "prompt_tokens_details": None}
        name = f"embd-{uuid.uuid4().hex[:16]}"
        model = self._served.names[0]
        return _json(
            {"id": name, "object": "list", "created": 1795271050, "model": model, "data": data, "usage": usage}
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        batch, model = self.batch, self._served.names[0]
        used = len(batch.running) / max(1, self._script.max_num_seqs)
        lines = _family("num_requests_running", "gauge", "Number of requests in model execution batches.")
        lines.append(_sample("num_requests_running", model, len(batch.running)))
        lines += _family("num_requests_waiting", "gauge", "Number of requests waiting to be processed.")
        lines.append(_sample("num_requests_waiting", model, len(batch.waiting)))
        lines += _family("kv_cache_usage_perc", "gauge", "KV-cache usage. 1 means 100 percent usage.")
        lines.append(_sample("kv_cache_usage_perc", model, used))
        lines += _family("prompt_tokens", "counter", "Number of prefill tokens processed.")
        lines.append(_sample("prompt_tokens_total", model, batch.prompt_tokens))
        lines += _family("generation_tokens", "counter", "Number of generation tokens processed.")
        lines.append(_sample("generation_tokens_total", model, batch.generation_tokens))
        for name, number in (("prefix_cache_queries", batch.prompt_tokens), ("prefix_cache_hits", 0)):
            lines += _family(name, "counter", "Tokens looked up in the prefix cache, and found there.")
            lines.append(_sample(f"{name}_total", model, number))
        lines += _family("request_success", "counter", "Count of successfully processed requests.")
        for reason, number in sorted(batch.finished.items()):
            lines.append(_sample("request_success_total", model, number, f',finished_reason="{reason}"'))
        return web.Response(text="\n".join(lines) + "\n", content_type="text/plain")

    # --- control by tests

    async def _state(self, _: web.Request) -> web.Response:
        return _json(
            {
                "pid": os.getpid(),
                "children": self._children.pids,
                "hung": self._paused(),
                "running": len(self.batch.running),
                "waiting": len(self.batch.waiting),
                "finished": self.batch.finished,
                "generation_tokens": self.batch.generation_tokens,
                "seen": self._generating.seen,
            }
        )

    async def _load_adapter(self, request: web.Request) -> web.Response:
        """As vLLM: text on success, errors for a second time, a wrong place, and where adapters were not foreseen."""
        body = decode(await request.read())
        name, place = body["lora_name"], Path(body["lora_path"])
        if not self._served.lora:
            return _json(error(500, "LoRA is not enabled", "InternalServerError"), 500)
        if name in self._served.names:
            raise Refused(f"The lora adapter '{name}' has already been loaded.")
        if not (place / "adapter_config.json").is_file():
            raise Refused(f"Loading lora {name} failed: No adapter found for {place}", None, 404, "NotFoundError")
        self._served.names.append(name)
        return web.Response(text=f"Success: LoRA adapter '{name}' added successfully.")

    async def _reset(self, _: web.Request) -> web.Response:
        self._script.update(self._first_script)
        self._hung = False
        return _json({})

    async def _rescript(self, request: web.Request) -> web.Response:
        self._script.update(decode(await request.read()))
        self.batch.recount()
        self._hung = False
        return _json({})


@web.middleware
async def _errors(request: web.Request, handler: Any) -> web.StreamResponse:
    try:
        answer: web.StreamResponse = await handler(request)
    except Refused as refused:
        return _json(error(refused.status, refused.message, refused.kind, refused.param), refused.status)
    except web.HTTPNotFound:
        return _json({"detail": "Not Found"}, 404)
    except web.HTTPMethodNotAllowed:
        return _json({"detail": "Method Not Allowed"}, 405)
    return answer


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(value), status=status, content_type="application/json")


def _vector(text: str, width: int) -> list[float]:
    raw = [math.sin(zlib.crc32(f"{at}:{text}".encode())) for at in range(width)]
    length = math.sqrt(sum(x * x for x in raw))
    return [x / length for x in raw]


def _family(name: str, kind: str, text: str) -> list[str]:
    name = f"vllm:{name}_total" if kind == "counter" else f"vllm:{name}"
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _sample(name: str, model: str, value: float, extra: str = "") -> str:
    return f'vllm:{name}{{engine="0",model_name="{model}"{extra}}} {float(value)}'
