"""One vLLM child: its command line, its process, its wire."""
