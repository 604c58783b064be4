"""OpenAI's newer route: /v1/responses."""
