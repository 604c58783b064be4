"""``vllama run``: chat with a model in the terminal, or ask it once."""

from __future__ import annotations

import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any, Final

import click

from vllama.cli import completion, output
from vllama.cli.chat.answer import HeardAnswer, print_timings
from vllama.cli.chat.conversation import ChatSettings, Conversation, ThinkSetting
from vllama.cli.chat.loading import load, waiting
from vllama.cli.chat.session import chat
from vllama.cli.chat.slash import read_format
from vllama.cli.keeping import keep_alive
from vllama.cli.pull import pull
from vllama.cli.remote import Refused, Remote, service_options
from vllama.errors import BadRequest

_THINK: Final[dict[str, ThinkSetting]] = {
    "true": True,
    "false": False,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "max": "max",
}


class _RunCommand(click.Command):
    """``--think`` may stand without a value, and then doesn't take the prompt after it for one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        end = args.index("--") if "--" in args else len(args)
        args[:end] = ["--think=true" if arg == "--think" else arg for arg in args[:end]]
        return super().parse_args(ctx, args)


@click.command("run", cls=_RunCommand)
@click.argument("model", shell_complete=completion.models)
@click.argument("prompt", nargs=-1)
@click.option(
    "--think",
    type=click.Choice(list(_THINK)),
    metavar="[=LEVEL]",
    help="Think before answering: true (the same as no LEVEL), false, low, medium, high or max.",
)
@click.option("--hidethinking", is_flag=True, help="Don't show what the model thinks.")
@click.option(
    "--format", "format_text", default="", help="Format of the answer: json, a JSON schema, or a file with one."
)
@click.option(
    "--keepalive",
    metavar="DURATION",
    default="",
    callback=keep_alive,
    help="How long the model stays loaded: 5m, 0, -1 (for ever).",
)
@click.option("--system", default="", help="System message instead of the model's own.")
@click.option("--verbose", is_flag=True, help="Show counts and times after each answer.")
@click.option("--nowordwrap", is_flag=True, help="Don't break lines between words.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer with its counts as JSON; not in a chat.")
@service_options
def command(
    *,
    model: str,
    prompt: tuple[str, ...],
    think: str | None,
    hidethinking: bool,
    format_text: str,
    keepalive: str,
    system: str,
    verbose: bool,
    nowordwrap: bool,
    as_json: bool,
    host: str,
) -> None:
    """Chat with MODEL in the terminal, or ask it PROMPT once.

    Text that is piped in is put before PROMPT: vllama run tinychat "Shorten this:" < notes.txt
    """
    settings = ChatSettings(
        think=_THINK[think] if think else None,
        format=_format(format_text) if format_text else None,
        keep_alive=keepalive,
        hide_thinking=hidethinking,
        verbose=verbose,
        word_wrap=not nowordwrap,
    )
    remote = Remote(host)
    text = _one_shot_text(prompt)
    capabilities = _capabilities(remote, model)
    if capabilities == ["embedding"]:
        _embed(remote, model, text)
    elif text:
        _ask_once(remote, model, text, system, settings, as_json=as_json)
    elif as_json or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise BadRequest("there is no prompt", hint=f'Give one: vllama run {model} "Why is the sky blue?"')
    else:
        conversation = Conversation(model, settings, system=system)
        load(remote, model, keepalive)
        chat(remote, conversation)


def _capabilities(remote: Remote, model: str) -> list[str]:
    try:
        answer = remote.post("/api/show", {"model": model}, "model_info")
    except Refused as error:
        if error.http_status != 404:
            raise
        pull(remote, model)
        answer = remote.post("/api/show", {"model": model}, "model_info")
    return list(answer.get("capabilities") or [])


def _one_shot_text(prompt: tuple[str, ...]) -> str:
    """What was piped in and what was given as arguments; empty for a chat."""
    piped = "" if sys.stdin.isatty() else sys.stdin.buffer.read().decode("utf-8", "replace").strip()
    return " ".join(filter(None, (piped, *prompt)))


def _format(text: str) -> Any:
    """``json``, a schema, or the name of a file that holds one."""
    if text != "json" and not text.lstrip().startswith("{"):
        try:
            text = Path(text).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadRequest(f"--format is neither json nor a JSON schema nor a readable file: {text}") from error
    return read_format(text)


def _ask_once(remote: Remote, model: str, text: str, system: str, settings: ChatSettings, *, as_json: bool) -> None:
    body = {**settings.body(model), "prompt": text, "stream": not as_json}
    if system:
        body["system"] = system
    if as_json:
        with waiting(remote, model) if output.is_terminal(sys.stderr) else nullcontext():
            answered = remote.post("/api/generate", body, "done", patient=True)
        output.data(answered)
        return
    if output.is_terminal(sys.stderr):  # a person watches: a model may take a minute to load
        load(remote, model, settings.keep_alive)
    answer = HeardAnswer(settings)
    with closing(remote.stream("/api/generate", body)) as chunks:
        last = answer.show(chunks)
    if settings.verbose:
        print_timings(last)


def _embed(remote: Remote, model: str, text: str) -> None:
    """What ``run`` means for an embedding model: the vector of the text."""
    if not text:
        raise BadRequest(f"{model} makes embeddings: it needs a text", hint=f'vllama run {model} "some text"')
    with waiting(remote, model) if output.is_terminal(sys.stderr) else nullcontext():
        answer = remote.post("/api/embed", {"model": model, "input": text}, "embeddings", patient=True)
    output.line(str(answer["embeddings"][0]).replace(" ", ""))
