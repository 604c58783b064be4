"""The HTTP server: connections, routes, limits, NDJSON and SSE; one package for each API."""
