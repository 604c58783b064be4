"""Compiles schemas as vLLM does, in the engine's interpreter: ``python xgrammar_compile.py MODEL``.

Each line of standard input is a JSON list of ``[schema, texts]``, and answered by a line: for each
``[error, seconds, accepted]``, where ``accepted`` says of each text whether it is a whole answer.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import xgrammar
from transformers import AutoTokenizer


def compiled(compiler: Any, form: dict[str, Any], size: int) -> tuple[Any, float]:
    """The grammar, and how long it took until it could say what the first token may be."""
    began = time.process_time()
    tag = json.dumps({"type": "structural_tag", "format": form})
    xgrammar.Grammar.from_structural_tag(tag)  # vLLM validates first
    grammar = compiler.compile_structural_tag(tag)
    matcher = xgrammar.GrammarMatcher(grammar)
    matcher.fill_next_token_bitmask(xgrammar.allocate_token_bitmask(1, size))
    return grammar, time.process_time() - began


def accepts(grammar: Any, text: str) -> bool:
    """Is the text a whole answer?"""
    matcher = xgrammar.GrammarMatcher(grammar, terminate_without_stop_token=True)
    return bool(matcher.accept_string(text) and matcher.is_completed())


def main(model: str) -> None:
    """Answers line by line."""
    tokenizer = xgrammar.TokenizerInfo.from_huggingface(AutoTokenizer.from_pretrained(model))
    compiler = xgrammar.GrammarCompiler(tokenizer, max_threads=2, cache_enabled=False)
    for line in sys.stdin:
        reported: list[tuple[str, float, list[bool]]] = []
        for form, texts in json.loads(line):
            try:
                grammar, seconds = compiled(compiler, form, tokenizer.vocab_size)
                reported.append(("", seconds, [accepts(grammar, text) for text in texts]))
            except (RuntimeError, ValueError) as error:
                reported.append((str(error), 0.0, []))
        sys.stdout.write(json.dumps(reported) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
