"""Where the parser is among the tokens, and what it says of the one it is at. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from vllama.templates.faults import TemplateError
from vllama.templates.lexer import Kind, Token


class Cursor:
    """``taken`` tokens lie behind; errors name the line of the last one looked at."""

    def __init__(self, tokens: Iterable[Token]) -> None:
        self._tokens = list(tokens)
        self._seen = 0
        self.taken = 0
        self.action_line = 0
        """Where the action being read began; 0 between actions."""

    def peek(self) -> Token:
        """The next token, not taken."""
        at = min(self.taken, len(self._tokens) - 1)
        self._seen = max(self._seen, at)
        return self._tokens[at]

    def next(self) -> Token:
        """Take the next token."""
        token = self.peek()
        self.taken += 1
        return token

    def skip_space(self) -> Token:
        """The next token that is no white space, not taken."""
        if self.peek().kind is Kind.SPACE:
            self.taken += 1
        return self.peek()

    def next_word(self) -> Token:
        """Take the next token that is no white space."""
        self.skip_space()
        return self.next()

    def back(self) -> None:
        """The token taken last is not taken."""
        self.taken -= 1

    def follows(self, keyword: str) -> bool:
        """Does the keyword stand behind the next token, blanks aside?"""
        after = self._tokens[self.taken + 1 : self.taken + 3]
        found = next((token for token in after if token.kind is not Kind.SPACE), None)
        return found is not None and found.kind is Kind.KEYWORD and found.text == keyword

    def expect(self, kind: Kind, context: str) -> Token:
        """Take the next token that is no white space; raises when it is another kind."""
        token = self.next_word()
        if token.kind is not kind:
            raise self.unexpected(token, context)
        return token

    def error(self, text: str) -> TemplateError:
        """At the line of the last token looked at."""
        return TemplateError(f"template: :{self._tokens[self._seen].line}: {text}")

    def unexpected(self, token: Token, context: str) -> TemplateError:
        """A token that can't stand here, or what the lexer found wrong."""
        if token.kind is not Kind.ERROR:
            return self.error(f"unexpected {token} in {context}")
        started = ""
        if self.action_line and self.action_line != token.line:
            started = f" in action started at :{self.action_line}"
            if token.text.endswith(" action"):
                started = started.removeprefix(" in action")
        return self.error(f"{token}{started}")
