"""The ``vllama`` command: a table of verbs, each loaded when it is called. Errors end here."""

from __future__ import annotations

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

# verb -> module that holds a click command of the same name under ``command``
_VERBS: Final = {
    "serve": "vllama.cli.serve",
    "run": "vllama.cli.run",
    "list": "vllama.cli.list_models",
    "ps": "vllama.cli.ps",
    "show": "vllama.cli.show",
    "pull": "vllama.cli.pull",
    "push": "vllama.cli.push",
    "create": "vllama.cli.create",
    "catalog": "vllama.cli.catalog",
    "plan": "vllama.cli.plan",
    "cp": "vllama.cli.cp",
    "rm": "vllama.cli.rm",
    "stop": "vllama.cli.stop",
    "version": "vllama.cli.version",
    "config": "vllama.cli.config",
    "engine": "vllama.cli.engine",
    "keys": "vllama.cli.keys",
    "logs": "vllama.cli.logs",
    "doctor": "vllama.cli.doctor",
    "bench": "vllama.cli.bench.verbs",
    "tune": "vllama.cli.tune",
}
_ALIASES: Final = {"ls": "list"}


class _LazyGroup(click.Group):
    """Imports a verb's module only when the verb is used, so that ``vllama ps`` starts quickly."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _VERBS.get(_ALIASES.get(cmd_name, cmd_name))
        if module is None:
            return None
        command: Any = importlib.import_module(module).command
        return command if isinstance(command, click.Command) else None


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
    except Exception as error:  # noqa: BLE001 - the last line of defence: a bug of ours, told in a line of its own
        output.error(*_as_bug(error))
        sys.exit(70)


def _as_bug(error: Exception) -> tuple[str, str]:
    """What to tell a person of an error that should not be: no traceback, but where it happened."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if f"{os.sep}vllama{os.sep}" in frame.filename
    ]
    where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
    return (
        f"unexpected {type(error).__name__}: {error}{where}",
        "This is a bug in vllama; please report it with this line.",
    )
