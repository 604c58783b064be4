"""Limits the blanks in the arguments of tools. Runs in the engine; the service never imports it.

vLLM makes the grammars of forced and strict tools itself, from the tools of a request. It allows either any number of
blanks between the parts of their arguments, and weak models then write blanks without end; or none, which is not what
models have learnt. xgrammar can bound them, but no field of a request sets this. vLLM imports this file because of
``--tool-parser-plugin``; an error in here costs no more than the bound.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

MOST_BLANKS = 22
"""As ``translate.schemas.grammars`` says it for answers."""
_UNBOUNDED = '"max_whitespace_cnt": null'

Adjust = Callable[[Any, Any], Any]


def bounded(params: Any) -> Any:
    """vLLM's ``StructuredOutputsParams`` with bounded blanks, whether they hold a schema or a structural tag."""
    if params.structural_tag:
        text = params.structural_tag.replace(_UNBOUNDED, f'"max_whitespace_cnt": {MOST_BLANKS}')
        return replace(params, structural_tag=text)
    if params.json is None:
        return params
    schema = json.loads(params.json) if isinstance(params.json, str) else params.json
    form = {"type": "json_schema", "json_schema": schema, "max_whitespace_cnt": MOST_BLANKS}
    tag = json.dumps({"type": "structural_tag", "format": form})
    return replace(params, json=None, structural_tag=tag)


def bounding(adjust: Adjust) -> Adjust:
    """``adjust_request`` of a parser, whose grammar gets bounds."""

    def adjust_request(self: Any, request: Any) -> Any:
        request = adjust(self, request)
        if getattr(request, "structured_outputs", None) is not None:
            request.structured_outputs = bounded(request.structured_outputs)
        return request

    return adjust_request


def install() -> None:
    """Wrap the method through which all grammars of tools go; says so where this vLLM has none of it."""
    log = logging.getLogger("vllm.vllama")
    try:
        parser = import_module("vllm.parser.abstract_parser").DelegatingParser
        parameters = import_module("vllm.sampling_params").StructuredOutputsParams
        form = import_module("xgrammar.structural_tag").JSONSchemaFormat(json_schema=True)
        known = _UNBOUNDED in json.dumps(form.model_dump()) and hasattr(parameters(json_object=True), "structural_tag")
        adjust = parser.adjust_request
    except (ImportError, AttributeError, TypeError, ValueError):
        known = False
    if known:
        parser.adjust_request = bounding(adjust)
    else:
        log.warning("blanks in the arguments of tools are not limited: this vLLM makes their grammars in another way")


if __name__ != "vllama.engine.tool_blanks":  # imported by vLLM, from its path
    install()
