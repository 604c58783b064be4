from __future__ import annotations

from tests.unit.translate.models import model
from vllama.translate.pictures import NOT_SEEN, pictures_of_users, without_unseen
from vllama.translate.pieces import ChatCall, Message

SHOWN = Message("user", "See", images=("AAAA",))
BROUGHT = Message("tool", "a.png", images=("AAAA", "BBBB"), tool_call_id="c")
CALL = ChatCall((SHOWN, BROUGHT))


def test_a_model_that_sees_gets_every_picture():
    assert without_unseen(CALL, model(capabilities=("completion", "vision"))) is CALL


def test_one_that_cannot_gets_a_note_about_those_that_tools_brought():
    assert without_unseen(CALL, model()).messages == (
        SHOWN,
        Message("tool", f"a.png\n{NOT_SEEN}\n{NOT_SEEN}", tool_call_id="c"),
    )


def test_only_pictures_that_users_show_are_refused():
    assert pictures_of_users((SHOWN, BROUGHT)) == 1
