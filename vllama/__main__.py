"""``python -m vllama`` is the ``vllama`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; Ctrl-C while it is still being imported ends it as quietly as later (status 130)."""
    try:
        # slow enough to be interrupted
        from vllama.cli.main import main as command  # noqa: PLC0415

        command()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
