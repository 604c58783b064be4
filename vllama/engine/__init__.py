"""One vLLM child: its command line, its process, its connection, and why it failed."""
