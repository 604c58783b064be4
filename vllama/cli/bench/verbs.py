"""The group of ``vllama bench``."""

from __future__ import annotations

import click

from vllama.cli.bench import overhead, prefix, report, speed

_DEFAULT = "speed"


class _WithDefault(click.Group):
    """``vllama bench MODEL`` is ``vllama bench speed MODEL``."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default verb in front of everything that is none."""
        if not args or (args[0] not in self.commands and args[0] not in self.get_help_option_names(ctx)):
            args = [_DEFAULT, *args]
        return super().parse_args(ctx, args)


@click.group("bench", cls=_WithDefault)
def command() -> None:
    """Measure how fast it is: vllama bench [MODEL] is short for vllama bench speed [MODEL]."""


for _verb in (speed.command, overhead.command, prefix.command, report.command):
    command.add_command(_verb)
