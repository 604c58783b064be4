"""Go's text/template language, as far as model templates use it. Pure.

``parse`` reads a template once (it is remembered by its text), ``render`` runs it over data within limits of steps,
depth and output. Nothing but ``TemplateError`` comes out of either; its text is Go's.
"""

from __future__ import annotations

from vllama.translate.gotemplate.evaluate import render
from vllama.translate.gotemplate.faults import TemplateError
from vllama.translate.gotemplate.functions import Days
from vllama.translate.gotemplate.limits import Budget, BudgetSpent
from vllama.translate.gotemplate.nodes import Template
from vllama.translate.gotemplate.parser import parse
from vllama.translate.gotemplate.values import JsonList, JsonMap, OneOrMore, Struct

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
