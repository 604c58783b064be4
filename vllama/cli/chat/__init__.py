"""A chat in the terminal: what ``vllama run`` is made of."""
