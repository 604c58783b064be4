"""vLLM's dialect: its requests, its stream and its errors. Pure."""
