"""Writes the dashboard and the rules: ``make.py`` next to itself, ``make.py DIR`` into another folder.

The files it makes are kept in the repository, so that who has no RPM can take them from there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final

import yaml

HERE: Final = Path(__file__).parent
sys.path.insert(0, str(HERE))

import dashboard  # noqa: E402
import rules  # noqa: E402

_HEADER: Final = (
    "# Made by packaging/monitoring/make.py. Prometheus reads it with rule_files; docs/monitoring.md describes it.\n"
)


def texts() -> dict[str, str]:
    """The text of each file by its path."""
    return {
        "grafana/vllama.json": json.dumps(dashboard.dashboard(), indent=1, ensure_ascii=False) + "\n",
        "prometheus/vllama-recordings.yml": _yaml(rules.recordings()),
        "prometheus/vllama-alerts.yml": _yaml(rules.alerts()),
    }


def main(folder: Path) -> None:
    """Write them."""
    for name, text in texts().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")


def _yaml(value: dict[str, Any]) -> str:
    return _HEADER + yaml.safe_dump(value, sort_keys=False, width=1 << 20, allow_unicode=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
