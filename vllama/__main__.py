"""``python -m vllama`` is the ``vllama`` command."""

from __future__ import annotations

from vllama.cli.main import main

if __name__ == "__main__":
    main()
