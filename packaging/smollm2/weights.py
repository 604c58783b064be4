"""Writes SmolLM2, which its package holds as GGUF, as vLLM reads models: bf16 safetensors, config and tokenizer.

Run by the engine's interpreter, which has torch and transformers: ``python weights.py FILE.gguf INTO`` with
``gguf`` and ``accelerate`` on PYTHONPATH.
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig


def convert(file: str, into: str) -> None:
    """A minute of one CPU and a gigabyte of memory."""
    source = Path(file)
    named = {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
    AutoTokenizer.from_pretrained(**named).save_pretrained(into)
    # transformers keeps the weights packed otherwise, and can't save them
    unpacked = GgufConfig(dequantize=True)
    model = AutoModelForCausalLM.from_pretrained(**named, dtype=torch.bfloat16, quantization_config=unpacked)
    model.save_pretrained(into)


if __name__ == "__main__":
    convert(*sys.argv[1:])
