"""The ``vllama`` command: a table of verbs, each loaded when it is called. Errors end here."""

from __future__ import annotations

import difflib
import errno
import importlib
import os
import sys
import traceback
from pathlib import Path
from typing import Any, Final

import click

from vllama import __version__
from vllama.cli import output
from vllama.errors import ConfigError, VllamaError

# verb -> module that holds a click command of the same name under ``command``, and its line in the list of verbs
# (at most 64 characters, to fit 80 columns; kept here, so that printing the list imports no module)
_VERBS: Final = {
    "serve": ("vllama.cli.serve", "Serve until stopped."),
    "run": ("vllama.cli.run", "Chat with a model in the terminal, or ask one question."),
    "list": ("vllama.cli.list_models", "List the models that can be used."),
    "ps": ("vllama.cli.ps", "List the models that are loaded or being loaded."),
    "top": ("vllama.cli.top", "Watch engines and requests live."),
    "show": ("vllama.cli.show", "Describe a model: size, context, capabilities."),
    "load": ("vllama.cli.load", "Load models before their first request."),
    "launch": ("vllama.cli.launch", "Use a model in Claude Code, Codex or OpenCode."),
    "pull": ("vllama.cli.pull", "Download models, or their newer versions."),
    "outdated": ("vllama.cli.outdated", "List pulled models that have changed on the hub."),
    "push": ("vllama.cli.push", "Refused: vLLama has no registry."),
    "create": ("vllama.cli.create", "Make a model from a Modelfile."),
    "search": ("vllama.cli.search", "Search the catalogue and the hub for models."),
    "catalog": ("vllama.cli.catalog", "List the names that can be pulled, or check them."),
    "plan": ("vllama.cli.plan", "Show whether a model fits into memory, and what else would."),
    "cp": ("vllama.cli.cp", "Give a model a second name."),
    "rm": ("vllama.cli.rm", "Delete models."),
    "stop": ("vllama.cli.stop", "Unload a model as soon as its running answers have ended."),
    "version": ("vllama.cli.version", "Print the versions of this command and of the service."),
    "config": ("vllama.cli.config", "Check and explain the configuration."),
    "engine": ("vllama.cli.engine", "Install vLLM, show its state, return to the previous one."),
    "slo": ("vllama.cli.slo", "Show how the service level objectives are kept."),
    "keys": ("vllama.cli.keys", "Create, list and revoke API keys."),
    "usage": ("vllama.cli.usage", "Show who used which model how much, and what it cost."),
    "backup": ("vllama.cli.backup", "Write the settings of the service into a tar file."),
    "restore": ("vllama.cli.restore", "Put the files of a backup back into their places."),
    "logs": ("vllama.cli.logs", "Show the journal of the service and its engines."),
    "doctor": ("vllama.cli.doctor", "Check whether this machine can serve models."),
    "bench": ("vllama.cli.bench.verbs", "Measure how fast a model answers."),
    "tune": ("vllama.cli.tune", "Find the fastest settings for a model on this machine."),
}
_NOWHERE_TO_WRITE: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_ALIASES: Final = {"ls": "list"}


class _LazyGroup(click.Group):
    """Imports a verb's module only when the verb is used, so that ``vllama ps`` starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        known = _VERBS.get(_ALIASES.get(cmd_name, cmd_name))
        if known is None:
            return None
        command: Any = importlib.import_module(known[0]).command
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """An unknown verb is answered with the one that was probably meant."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            close = difflib.get_close_matches(args[0], [*_VERBS, *_ALIASES], n=1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of verbs, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, short) for verb, (_, short) in _VERBS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-v", "--version", message="vllama version %(version)s")
def cli() -> None:
    """Serve models with vLLM, speak Ollama."""


def main() -> None:
    """Entry point: errors become one line and an exit status (78 wrong configuration, 130 Ctrl-C, 70 a bug)."""
    try:
        status = cli(standalone_mode=False)
        sys.exit(status if isinstance(status, int) else 0)
    except (click.exceptions.Abort, KeyboardInterrupt):
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except ConfigError as error:
        output.error(error)
        sys.exit(78)
    except VllamaError as error:
        output.error(error)
        sys.exit(1)
    except BrokenPipeError:
        output.silence()
        sys.exit(1)
    except OSError as error:
        if error.errno not in _NOWHERE_TO_WRITE:
            output.error(*_as_bug(error))
            sys.exit(70)
        output.silence()  # what waits to be written can't be
        output.error(f"can't write{f' {error.filename}' if error.filename else ''}: {error.strerror}")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours, printed as one line
        output.error(*_as_bug(error))
        sys.exit(70)


def _as_bug(error: Exception) -> tuple[str, str]:
    """Message and hint of an error that should not happen: without a traceback, but with the place in the code."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}vllama{os.sep}" in frame.filename
    ]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return (
        f"unexpected {type(error).__name__}: {error}{where}",
        "This is a bug in vllama; please report it with this line.",
    )
