"""Installing vLLM into an interpreter of its own, and knowing what an installed one can do."""
