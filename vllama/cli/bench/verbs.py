"""The group of ``vllama bench``."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from vllama.cli import completion
from vllama.cli.bench import overhead, prefix, report, speed

_DEFAULT = "speed"


class _WithDefault(click.Group):
    """``vllama bench MODEL`` is ``vllama bench speed MODEL``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default verb in front of arguments that don't begin with a verb."""
        if ctx.resilient_parsing and not args:  # a shell completes the first word, which may be a verb
            return super().parse_args(ctx, args)
        if not args or (args[0] not in self.commands and args[0] not in self.get_help_option_names(ctx)):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The verbs, and the models that the default verb measures."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return found
        names = completion.models(ctx, speed.command.params[0], incomplete)
        return [*found, *map(CompletionItem, names)]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default verb's options, too: they are those of ``vllama bench MODEL``."""
        with formatter.section(f"Options of vllama bench [MODEL] (vllama bench {_DEFAULT})"):
            options = (one.get_help_record(ctx) for one in speed.command.params if isinstance(one, click.Option))
            formatter.write_dl([option for option in options if option is not None])
        super().format_options(ctx, formatter)


@click.group("bench", cls=_WithDefault)
def command() -> None:
    """Measure how fast a model answers. vllama bench [MODEL] is short for vllama bench speed [MODEL].

    The other verbs have options of their own: vllama bench VERB --help.
    """


for _verb in (speed.command, overhead.command, prefix.command, report.command):
    command.add_command(_verb)
