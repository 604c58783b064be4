"""Prints the shell completion of ``vllama``: ``completion.py bash|zsh|fish``."""

from __future__ import annotations

import sys

from click.shell_completion import get_completion_class

from vllama.cli.main import cli


def completion(shell: str) -> str:
    """The script that a shell reads; it asks ``vllama`` itself for the words."""
    kind = get_completion_class(shell)
    if kind is None:
        raise SystemExit(f"click completes for no shell {shell!r}")
    return kind(cli, {}, "vllama", "_VLLAMA_COMPLETE").source()


if __name__ == "__main__":
    sys.stdout.write(completion(sys.argv[1]) + "\n")
