"""Go's text/template language, as far as model templates use it. Pure.

``parse`` reads a template once (it is remembered by its text), ``render`` runs it over data within limits of steps,
depth and output. Nothing but ``TemplateError`` comes out of either; its text is Go's.
"""

from __future__ import annotations

from vllama.templates.evaluate import render
from vllama.templates.faults import TemplateError
from vllama.templates.functions import Days
from vllama.templates.limits import Budget, BudgetSpent
from vllama.templates.nodes import Template
from vllama.templates.parser import parse
from vllama.templates.values import JsonList, JsonMap, OneOrMore, Struct

__all__ = [
    "Budget",
    "BudgetSpent",
    "Days",
    "JsonList",
    "JsonMap",
    "OneOrMore",
    "Struct",
    "Template",
    "TemplateError",
    "parse",
    "render",
]
