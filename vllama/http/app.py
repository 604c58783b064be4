"""Builds the front end: routes, middleware, limits. The daemon (and a test) makes one and runs it."""

from __future__ import annotations

from aiohttp import web

from vllama.aside.port import Aside
from vllama.config.keys import KeyRing
from vllama.config.schema import Config
from vllama.download.puller import Puller
from vllama.http.access import read_host_check, read_origins
from vllama.http.anthropic import messages
from vllama.http.front import FRONT, Checks, Forecaster, Front, Models
from vllama.http.intake import Intake
from vllama.http.middleware import finish_headers, make_middleware
from vllama.http.ollama.routes import ROUTES as OLLAMA_ROUTES
from vllama.http.openai import routes as openai
from vllama.http.own.routes import ROUTES as OWN_ROUTES
from vllama.http.peers import read_reach
from vllama.http.permits import make_permits
from vllama.http.responses import responses
from vllama.models.create import Creator
from vllama.observe.books import Books
from vllama.observe.lookout import Lookout
from vllama.supervisor.port import Engines

_LONGEST_ANSWER = 24 * 3600.0
"""Seconds; answers end with their engines, and after a reload the old application's answers go on."""

OLLAMA_VERSION = "0.33.0"
"""The Ollama whose API this is; clients compare it with the version that brought a feature."""


def make_app(
    config: Config,
    engines: Engines,
    models: Models,
    books: Books,
    lookout: Lookout,
    *,
    puller: Puller,
    creator: Creator,
    aside: Aside,
    forecasts: Forecaster,
    health: Checks,
    version: str = OLLAMA_VERSION,
    keys: KeyRing | None = None,
) -> web.Application:
    """The whole front end; raises ConfigError when ``server.origins`` can't be meant."""
    hosts = read_host_check(config.server.host, config.server.names)
    app = web.Application(
        client_max_size=config.server.max_body,
        middlewares=make_middleware(
            read_origins(config.server.origins),
            hosts,
            make_permits(read_reach(config.server), hosts, keys or KeyRing(()), config.people),
            log_access=config.log.access,
        ),
    )
    intake = Intake(config.server.max_bodies, config.server.max_body)
    app[FRONT] = Front(
        config, engines, models, puller, creator, books, aside, version, intake, lookout, forecasts, health
    )
    app.add_routes(OLLAMA_ROUTES)
    app.add_routes([*openai.routes, *responses.routes, *messages.routes])
    app.add_routes(OWN_ROUTES)
    app.on_response_prepare.append(finish_headers)
    return app


def make_runner(app: web.Application) -> web.AppRunner:
    """A client that leaves cancels its handler. What else holds for connections is in ``connection``."""
    return web.AppRunner(
        app, handler_cancellation=True, access_log=None, handle_signals=False, shutdown_timeout=_LONGEST_ANSWER
    )
