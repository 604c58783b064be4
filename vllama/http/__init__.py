"""The wire: routes, limits, NDJSON and SSE."""
