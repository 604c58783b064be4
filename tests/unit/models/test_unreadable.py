from __future__ import annotations

import pytest

from vllama.models.shelf import unreadable


@pytest.mark.parametrize(
    ("error", "words"),
    [(PermissionError(13, "Permission denied", "/secret"), "permission denied"), (KeyError("x"), "KeyError")],
)
def test_what_nobody_expected_is_reported_in_words_that_help_and_without_a_path(error, words):
    problem = unreadable("m", error)
    assert words in problem.detail
    assert "/secret" not in f"{problem.detail} {problem.hint}"


def test_a_directory_that_may_not_be_read_says_what_to_do():
    assert "chmod" in unreadable("m", PermissionError(13, "Permission denied")).hint
