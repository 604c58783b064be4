from __future__ import annotations

from datetime import date

import pytest

from tests.unit.translate import families
from tests.unit.translate.chunks import text, usage
from tests.unit.translate.models import model
from vllama.errors import BadRequest
from vllama.translate.pieces import ChatCall, Ending, Message, Tags
from vllama.translate.prompts.prompting import insert_prompt, rendered, template_of, to_tokenize
from vllama.translate.prompts.tagged_stream import TaggedReader

TODAY = date(2026, 3, 1)
ASKED = (Message("user", "Hi"),)
ALL = ("completion", "tools", "thinking")
FIM = dict.fromkeys(("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"), 1)


def tokenized(call, messages, known):
    return to_tokenize(rendered(call, messages, known, TODAY), call, messages, known)


def asked(**more):
    return ChatCall(messages=ASKED, **more)


class TestWhoRenders:
    def test_vllm_where_the_model_has_a_chat_template_and_no_other(self):
        assert rendered(asked(), ASKED, model(), TODAY) is None
        assert tokenized(asked(), ASKED, model())["messages"] == [{"role": "user", "content": "Hi"}]

    def test_we_where_it_has_one_of_its_own(self):
        known = model(template=families.CHATML)
        text, tags = rendered(asked(), ASKED, known, TODAY)
        assert text == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
        assert tags == Tags()
        assert tokenized(asked(), ASKED, known) == {"prompt": text}

    def test_we_where_it_has_none_at_all(self):
        text, _ = rendered(asked(), ASKED, model(chat_template=None), TODAY)
        assert text == "Hi"

    def test_not_we_where_a_parser_shows_that_vllm_knows_its_form(self):
        assert template_of(model(chat_template=None, tool_parser="mistral")) is None

    def test_vllm_where_there_are_pictures(self):
        seen = (Message("user", "Who?", images=("aGk=",)),)
        assert rendered(ChatCall(messages=seen), seen, model(template=families.CHATML), TODAY) is None

    def test_a_text_that_begins_with_its_own_first_token_gets_no_other(self):
        known = model(template="<|begin_of_text|>{{ .Prompt }}")
        assert tokenized(asked(), ASKED, known) == {
            "prompt": "<|begin_of_text|>Hi",
            "add_special_tokens": False,
        }


class TestThinking:
    @pytest.mark.parametrize(("think", "on"), [(None, True), (True, True), ("low", True), (False, False)])
    def test_on_by_default_where_the_model_can(self, think, on):
        known = model(template=families.DEEPSEEK_R1, capabilities=ALL)
        text, tags = rendered(asked(think=think), ASKED, known, TODAY)
        assert text.endswith("</think>\n\n") is not on
        assert tags.thinking == (("<think>", "</think>") if on else None)

    @pytest.mark.parametrize("think", [None, False])
    def test_never_where_it_can_not(self, think):
        text, tags = rendered(asked(think=think), ASKED, model(template="{{ .Prompt }}{{ .Think }}<think>"), TODAY)
        assert (text, tags) == ("Hifalse<think>", Tags())

    def test_a_template_that_shows_no_tags_has_the_usual_ones(self):
        known = model(template="{{ .Prompt }}<think>\n", capabilities=ALL)
        _, tags = rendered(asked(), ASKED, known, TODAY)
        assert tags == Tags(("<think>", "</think>"), inside=True)

    @pytest.mark.parametrize(
        ("parser", "family", "kept"),
        [(None, "qwen3", ""), ("deepseek_r1", "qwen2", ""), (None, "llama", "<think>x</think>")],
    )
    def test_old_thoughts_go_where_early_templates_kept_them_in_the_text(self, parser, family, kept):
        talk = (*ASKED, Message("assistant", "<think>x</think>y"), Message("user", "Bye"))
        known = model(family=family, reasoning_parser=parser, template="{{ range .Messages }}{{ .Content }}|{{ end }}")
        assert rendered(ChatCall(messages=talk), talk, known, TODAY)[0] == f"Hi|{kept}y|Bye|"


class TestInsert:
    def test_by_the_models_own_template_else_by_its_tokens(self):
        assert insert_prompt(model(template="{{ .Suffix }}<{{ .Prompt }}"), "a", "b", TODAY) == "b<a"
        said = "<|fim_prefix|>a<|fim_suffix|>b<|fim_middle|>"
        assert insert_prompt(model(special_tokens=FIM), "a", "b", TODAY) == said
        assert insert_prompt(model(template=families.CHATML, special_tokens=FIM), "a", "b", TODAY) == said
        with pytest.raises(BadRequest):
            insert_prompt(model(), "a", "b", TODAY)


class TestTaggedReader:
    TAGS = Tags(("<think>", "</think>"), tools=("get",), mark="<c>")

    def read(self, *chunks, tags=TAGS):
        return TaggedReader(lambda _: None, tags, "seed").feed([*chunks, usage()])

    def test_thoughts_content_and_calls_come_apart_and_the_final_last(self):
        *pieces, final = self.read(text("<think>Hm"), text("</think>\n\nOk"), text('<c>get {"a":1}'), text("", "stop"))
        assert [(p.thinking, p.content, len(p.tool_calls)) for p in pieces] == [
            ("Hm", "", 0),
            ("", "Ok", 0),
            ("", "", 1),
        ]
        assert isinstance(final, Ending)

    def test_calls_have_ids_that_distinguish_answers(self):
        *_, piece, _ = self.read(text('<c>get {"a":1}'), text("", "stop"))
        (other,) = TaggedReader(lambda _: None, self.TAGS, "other").feed([text('<c>get {"a":1}')])
        assert piece.tool_calls[0].id.startswith("call_")
        assert len({piece.tool_calls[0].id, other.tool_calls[0].id}) == 2

    def test_what_was_held_back_comes_at_the_end(self):
        *pieces, _ = self.read(text("a <"), text("", "stop"))
        assert "".join(piece.content for piece in pieces) == "a <"

    def test_log_probabilities_of_calls_are_reported_those_of_thinking_tags_are_not(self):
        def reported(token, tags):
            chunk = text(token, logprobs={"tokens": [token], "token_logprobs": [-0.5]})
            *pieces, _ = self.read(chunk, text("", "stop"), tags=tags)
            return [entry["token"] for piece in pieces for entry in piece.logprobs or ()]

        assert reported("<think>", self.TAGS) == []
        assert reported("<c>{", Tags(tools=("get",), mark="<c>")) == ["<c>{"]
        assert reported("a", self.TAGS) == ["a"]
