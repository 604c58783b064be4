from __future__ import annotations

import pytest

from tests.unit.translate import families
from tests.unit.translate.models import model
from vllama.models.stored import with_template
from vllama.templates import TemplateError


def test_the_template_decides_on_tools_and_thinking():
    facts = model(capabilities=("completion", "tools", "thinking", "vision")).facts
    assert with_template(facts, families.CHATML).capabilities == ("completion", "vision")
    assert with_template(facts, families.QWEN25).capabilities == ("completion", "vision", "insert", "tools")
    assert with_template(facts, "") is facts


def test_a_bad_template_is_an_error():
    with pytest.raises(TemplateError, match="template: :1: unclosed action"):
        with_template(model().facts, "{{ .Prompt")
