"""``llamacpp.py FILE.gguf PORT SLOTS CONTEXT THREADS``: llama.cpp's server until killed; needs ``xllamacpp``."""

from __future__ import annotations

import signal
import sys

import xllamacpp


def serve(file: str, port: int, slots: int, context: int, threads: int) -> None:
    """``context``: tokens of each slot."""
    params = xllamacpp.CommonParams()
    params.model.path = file
    params.model_alias = {"smollm2"}
    params.hostnames, params.port = ["127.0.0.1"], port
    params.n_parallel, params.n_ctx = slots, slots * context
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    serve(sys.argv[1], *map(int, sys.argv[2:]))
