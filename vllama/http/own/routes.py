"""All routes of our own."""

from __future__ import annotations

from vllama.http.own import engines, events, history, metrics, page, requests, slos, status

ROUTES = (
    *metrics.routes,
    *engines.routes,
    *status.routes,
    *events.routes,
    *history.routes,
    *requests.routes,
    *slos.routes,
    *page.routes,
)
