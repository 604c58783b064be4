"""Imports the plugin as vLLM does, in the engine's interpreter, and prints what a parser's grammars become.

``python tool_blanks_in_vllm.py PLUGIN``: a JSON list of the structural tags of a forced tool, by a parser that has tags
of its own and by one that asks for plain JSON; each was validated by vLLM.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace

from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
from vllm.parser.abstract_parser import DelegatingParser
from vllm.sampling_params import SamplingParams
from vllm.tool_parsers import ToolParserManager
from vllm.tool_parsers.abstract_tool_parser import ToolParser
from vllm.v1.structured_output.backend_xgrammar import validate_xgrammar_grammar


class Tokenizer:
    """No parser here looks into it."""

    def get_vocab(self) -> dict[str, int]:
        """No tokens."""
        return {}


class Plain(ToolParser):
    """Writes calls as plain JSON, as every parser without a tag does."""


class Native(ToolParser):
    """Has a tag of its own."""

    structural_tag_model = "hermes"


def tag_of(parser_class: type[ToolParser], tool: dict[str, object]) -> str:
    """The grammar that is made for a call which must be made."""
    asked = {"messages": [{"role": "user", "content": "x"}], "tools": [tool], "tool_choice": "required"}
    request = ChatCompletionRequest.model_validate(asked)
    parser = type("Parser", (DelegatingParser,), {})(Tokenizer(), request.tools)
    parser._reasoning_parser, parser._tool_parser = None, parser_class(Tokenizer(), request.tools)
    params = parser.adjust_request(request).structured_outputs
    validate_xgrammar_grammar(SamplingParams(structured_outputs=replace(params)))
    return str(params.structural_tag)


def main(plugin: str) -> None:
    """Prints both."""
    ToolParserManager.import_tool_parser(plugin)
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    tool = {"type": "function", "function": {"name": "f", "parameters": schema, "strict": True}}
    sys.stdout.write("\n" + json.dumps([tag_of(Plain, tool), tag_of(Native, tool)]) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
