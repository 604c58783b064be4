from __future__ import annotations

import tempfile
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientResponse, ClientSession, TCPConnector

from tests.fakes.aside import InPlace
from tests.fakes.engines import FakeEngines
from tests.unit.http.scripted import CHAT, TEXT, Reply, ScriptedEngine
from tests.unit.translate.chunks import chat, sse, text, usage
from tests.unit.translate.models import model
from vllama.config.keys import KeyRing
from vllama.config.schema import Config
from vllama.config.schema import Server as ServerSection
from vllama.engine.client import EngineClient
from vllama.errors import NotFound, PullFailed, VllamaError
from vllama.fit.forecast import Forecast
from vllama.http.app import make_app
from vllama.http.limits import limits_of
from vllama.http.listener import bind
from vllama.http.server import HttpServer
from vllama.models.arrival import Part
from vllama.models.blobs import Blobs
from vllama.models.create import Recipe
from vllama.models.model import Model
from vllama.models.names import ModelName
from vllama.observe.books import Books
from vllama.observe.feed import Feed
from vllama.observe.history import History
from vllama.observe.lookout import Lookout
from vllama.observe.machine import Machine
from vllama.observe.machine_watch import MachineWatch
from vllama.observe.metrics import Metrics
from vllama.observe.slos import Slos
from vllama.observe.spent import Spent
from vllama.observe.usage.usage import Usage
from vllama.observe.watch import Watch
from vllama.service.checks import Finding

CHATTER = model(
    "tinychat",
    chat_template="{{ messages }}",
    capabilities=("completion", "tools", "thinking"),
    special_tokens={"<|im_end|>": 7},
)
PLAIN = model("plainchat", chat_template="{{ messages }}")
EMBEDDER = model("minilm", capabilities=("embedding",), task="embed", family="bert")


class KnownModels:
    """A fixed set of models."""

    def __init__(self, *models: Model) -> None:
        self.models = {m.name.key: m for m in models}
        self.problems: dict[str, VllamaError] = {}
        self.failure: Exception | None = None
        """What listing them raises."""

    def find(self, name: ModelName) -> Model | None:
        return self.models.get(name.key)

    def all(self) -> tuple[Model, ...]:
        if self.failure is not None:
            raise self.failure
        return tuple(self.models.values())

    def problem(self, name: ModelName) -> VllamaError | None:
        return self.problems.get(name.key)

    def copy(self, source: ModelName, destination: ModelName) -> None:
        self.models[destination.key] = replace(self.models[source.key], name=destination)

    def remove(self, name: ModelName) -> bool:
        return self.models.pop(name.key, None) is not None


def machine(_: object) -> Machine:
    """A small one without GPUs."""
    return Machine(2, 8 << 30, 5 << 30)


class KeptBooks(Books):
    """Keeps all that requests have spent, too."""

    def __init__(self, engines: FakeEngines, folder: Path) -> None:
        self.spent: list[Spent] = []
        slos = Slos(Path("/nowhere"))
        self.usage = Usage(folder / "usage.db", lambda _: None)
        self.lookout = Lookout(
            Feed(), MachineWatch(engines, machine), Watch(engines), History(engines), slos, self.usage
        )
        super().__init__(Metrics(engines), self.spent.append, self.lookout.history.take, self.usage.take)


class ScriptedPuller:
    """Brings ``fetched``, part by part; knows what is there; finds nothing else."""

    def __init__(self, models: KnownModels) -> None:
        self.models = models
        self.fetched: list[Part | VllamaError] = []
        self.left = 0

    async def pull(self, name: ModelName, revision: str = "") -> AsyncGenerator[str | tuple[Part, ...]]:
        yield "pulling manifest"
        try:
            if name.key not in self.models.models and not self.fetched:
                raise PullFailed("file does not exist", hint="name a repository")
            for part in self.fetched:
                if isinstance(part, VllamaError):
                    raise part
                yield (part,)
            yield "success"
        finally:
            self.left += 1


class ScriptedCreator:
    """Keeps the recipes and blobs that it was given."""

    def __init__(self, state: Path) -> None:
        self.blobs = Blobs(state)
        self.recipes: list[Recipe] = []

    async def create(self, recipe: Recipe) -> AsyncGenerator[str]:
        self.recipes.append(recipe)
        yield "writing manifest"
        yield "success"


class FixedForecasts:
    """Knows one model."""

    async def of(self, name: ModelName) -> Forecast:
        if name.model != "tinychat":
            raise NotFound(f"model {name.short!r} not found", hint="Did you mean tinychat?")
        return Forecast(name.short, True, "fits: about 4 chats at once with 8k context", 1, 2, 3, 8192, 4.2)


class FixedChecks:
    """Finds one thing of each kind."""

    engine = "0.32.0"

    async def findings(self) -> list[Finding]:
        return [
            Finding("python", "good", "3.12.1"),
            Finding("cache directory", "warning", "/var/cache/vllama: 1 GB free", "Free some space"),
            Finding("models directory", "bad", "not writable", "sudo install -d -o vllama /var/lib/vllama"),
        ]


@dataclass
class Door:
    """The front end, its engine and a client."""

    base: str
    engine: ScriptedEngine
    engines: FakeEngines
    models: KnownModels
    puller: ScriptedPuller
    creator: ScriptedCreator
    books: KeptBooks
    aside: InPlace
    session: ClientSession

    async def post(self, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON (or the lines' JSON) of an answer."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        async with self.session.post(self.base + path, data=data) as answer:
            return answer.status, await read(answer)


async def read(answer: ClientResponse) -> Any:
    raw = await answer.read()
    if answer.headers.get("Content-Type") == "application/x-ndjson":
        return [orjson.loads(line) for line in raw.splitlines()]
    return orjson.loads(raw) if raw and "json" in answer.headers.get("Content-Type", "") else raw


@pytest.fixture
def config() -> Config:
    """Overridden by tests that need another one."""
    return Config(server=ServerSection(host="127.0.0.1", port=0, max_body=1 << 20))


@pytest.fixture
def keys() -> KeyRing:
    """Overridden by tests that need some."""
    return KeyRing(())


@pytest.fixture
async def server(config: Config, keys: KeyRing) -> AsyncIterator[Door]:
    with tempfile.TemporaryDirectory(prefix="vl-") as folder:
        engine = ScriptedEngine()
        await engine.start(Path(folder) / "e")
        engine.replies[CHAT] = [Reply(parts=[sse([chat({"content": "Hi"}), chat({}, "stop"), usage()])])]
        engine.replies[TEXT] = [Reply(parts=[sse([text("Hi"), text("", "stop"), usage()])])]
        client = EngineClient(Path(folder) / "e")
        engines = FakeEngines({m.path.name: client for m in (CHATTER, PLAIN, EMBEDDER)})
        models = KnownModels(CHATTER, PLAIN, EMBEDDER)
        puller = ScriptedPuller(models)
        creator = ScriptedCreator(Path(folder))
        books = KeptBooks(engines, Path(folder))
        books.usage.start()
        aside = InPlace()
        listening, sockets = HttpServer(), bind("127.0.0.1", 0)
        made = {
            "puller": puller,
            "creator": creator,
            "aside": aside,
            "keys": keys,
            "forecasts": FixedForecasts(),
            "health": FixedChecks(),
        }
        app = make_app(config, engines, models, books, books.lookout, **made)
        await listening.serve(app, sockets, limits_of(config.server))
        host, port = sockets[0].getsockname()[:2]
        async with ClientSession(connector=TCPConnector(force_close=True), auto_decompress=False) as session:
            base = f"http://{host}:{port}"
            yield Door(base, engine, engines, models, puller, creator, books, aside, session)
        await client.close()
        await listening.close()
        books.usage.close()
        for one in sockets:
            one.close()
        await engine.stop()
