"""All routes of our own."""

from __future__ import annotations

from vllama.http.own import (
    engines,
    events,
    health,
    history,
    markdown,
    metrics,
    openapi,
    page,
    plan,
    requests,
    slos,
    status,
    usage,
)

ROUTES = (
    *metrics.routes,
    *engines.routes,
    *status.routes,
    *events.routes,
    *history.routes,
    *requests.routes,
    *slos.routes,
    *plan.routes,
    *health.routes,
    *openapi.routes,
    *usage.routes,
    *markdown.routes,
    *page.routes,
)
