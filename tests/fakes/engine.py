"""``python -m tests.fakes.engine --model DIR --served-model-name NAME --uds PATH ...``: a vLLM that is none.

It takes vLLM's flags, prints its stages, speaks its wire and fails as it fails (see ``script`` for how to ask for
trouble), without a model: for tests of everything around an engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

from tests.fakes import flags
from tests.fakes.children import Children
from tests.fakes.compiling import compiled
from tests.fakes.failures import FAILURES
from tests.fakes.generating import Served
from tests.fakes.script import Script, load
from tests.fakes.server import FakeEngine
from tests.fakes.stages import Output, stages


def main(argv: list[str]) -> int:
    """Start, serve, and return the exit status."""
    args = flags.parse(argv)
    model = args.model or args.model_tag or "Qwen/Qwen3-0.6B"
    script = load(Path(model))
    script.token_rate = script.rates.get(str(args.max_num_batched_tokens), script.token_rate)
    served = _served(args, model, script)
    output = Output(as_json="json" in (args.logging_config or ""))
    children: list[Children] = []
    try:
        if script.memory_left and int(args.kv_cache_memory_bytes or 0) > script.memory_left:
            script.start_failure = "kv_too_large"
        _start(served, script, output, children)
        if not args.enforce_eager and not served.embeds:
            compiled(
                script, output, f"{model} {args.max_num_seqs}", Path(os.environ.get("VLLM_CACHE_ROOT", "/dev/null"))
            )
    except _Failed as failed:
        for spawned in children:
            spawned.kill()
        return failed.exit_code
    socket = Path(args.uds) if args.uds else None
    host, port = args.host or "127.0.0.1", int(args.port or 8000)
    output.say("APIServer", f"Starting vLLM server on {args.uds or f'http://{host}:{port}'}")
    engine = FakeEngine(served, script, children[0], output)
    try:
        return asyncio.run(engine.serve(socket, host, port, float(args.shutdown_timeout or 0)))
    except OSError as error:
        output.raw(f"Traceback (most recent call last):\nOSError: [Errno {error.errno}] Address already in use\n")
        children[0].kill()
        return 1


class _Failed(Exception):
    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def _start(served: Served, script: Script, output: Output, children: list[Children]) -> None:
    """Print the stages, spread over ``start_seconds``; fail, stall or ignore SIGTERM as scripted."""
    lines = list(stages(served.path, served.max_model_len, served.embeds))
    failure = FAILURES[script.start_failure] if script.start_failure else None
    for line in lines:
        if line.process != "APIServer" and not children:
            if failure and failure.process == "APIServer":
                break
            children.append(Children())
            if script.swallow_sigterm:
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
        output.stage(line)
        time.sleep(script.start_seconds / len(lines))
        if line.message.startswith("Starting to load model"):
            if failure:
                break
            while script.start_stall:
                time.sleep(60)
    if failure:
        output.failure(failure)
        raise _Failed(failure.exit_code)


def _served(args: argparse.Namespace, model: str, script: Script) -> Served:
    path = Path(model, "config.json")
    config = json.loads(path.read_text()) if path.is_file() else {}
    architecture = (config.get("architectures") or ["Qwen3ForCausalLM"])[0]
    length = str(args.max_model_len or "auto")
    own = config.get("max_position_embeddings") or 2048
    return Served(
        names=args.served_model_name or [model],
        path=model,
        max_model_len=script.max_model_len or (int(length) if length.isdigit() else own),
        tools=bool(args.tool_call_parser),
        thinks=bool(args.reasoning_parser),
        lora=args.enable_lora and os.environ.get("VLLM_ALLOW_RUNTIME_LORA_UPDATING") == "1",
        sleeps=args.enable_sleep_mode and os.environ.get("VLLM_SERVER_DEV_MODE") == "1",
        width=config.get("hidden_size") or 8,
        eyes="vision_config" in config,
        embeds=args.runner == "pooling" or architecture.endswith(("BertModel", "XLMRobertaModel")),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
