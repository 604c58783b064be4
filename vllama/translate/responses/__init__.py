"""OpenAI's Responses: requests, items and answers. Pure."""
