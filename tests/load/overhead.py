"""``python -m tests.load.overhead [--engine fake|real] [OPTION OF vllama bench overhead]...``: starts what it measures.

An engine and the service in front of it run until ``vllama bench overhead`` has measured both: a minute or two with the
rounds and answers given here, which options change.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from tests.load.stand import Stand, started


def argv(stand: Stand, options: list[str]) -> list[str]:
    """The command that measures these two."""
    found = [sys.executable, "-m", "vllama", "bench", "overhead", "--direct", stand.direct, "--through", stand.through]
    return [*found, "--model", stand.model, "--pid", str(stand.pid), "--rounds", "3", "--tokens", "64", *options]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("fake", "real"), default="fake", help="what to start (fake)")
    parser.add_argument("--token-rate", type=float, default=100.0, help="of each stream of a fake engine (100)")
    given, others = parser.parse_known_args()
    with started(given.token_rate, given.engine) as stand:
        sys.exit(subprocess.run(argv(stand, others), check=False).returncode)
