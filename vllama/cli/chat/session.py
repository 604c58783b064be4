"""The loop of a chat: read, ask, show, until the person leaves."""

from __future__ import annotations

from contextlib import closing

from vllama.cli import output
from vllama.cli.chat.answer import HeardAnswer, print_timings
from vllama.cli.chat.conversation import Conversation
from vllama.cli.chat.prompt import Prompt
from vllama.cli.chat.slash import ChatParts, Leave, is_command, obey
from vllama.cli.remote import Remote
from vllama.errors import VllamaError


def chat(remote: Remote, conversation: Conversation) -> None:
    """Talk until ``/bye`` or Ctrl-D. Ctrl-C stops an answer, not the program."""
    room = ChatParts(conversation, remote)
    prompt = Prompt()
    output.line(output.dim("Send a message (/? for help)"))
    while True:
        try:
            line = prompt.read()
        except KeyboardInterrupt:
            output.line("\nUse Ctrl-D or /bye to leave.")
            continue
        except EOFError:
            output.line()
            return
        try:
            if is_command(line):
                obey(line, room)
            elif line:
                _ask(remote, conversation, line)
        except Leave:
            return
        except KeyboardInterrupt:
            output.line()
        except VllamaError as error:
            output.error(error)


def _ask(remote: Remote, conversation: Conversation, text: str) -> None:
    """One turn. What was heard before an interruption or an error is kept."""
    conversation.say(text)
    answer = HeardAnswer(conversation.settings)
    try:
        # closing the stream closes the connection, by which the service stops the generation
        with closing(remote.stream("/api/chat", conversation.body())) as chunks:
            last = answer.show(chunks)
    finally:
        conversation.heard(answer.content, answer.thinking)
    output.line()
    if conversation.settings.verbose:
        print_timings(last)
