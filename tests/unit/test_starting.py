"""What the service imports before it listens: every library here is time and memory on every start."""

from __future__ import annotations

import subprocess
import sys

SLOW = ("huggingface_hub.file_download", "httpx", "requests", "numpy", "jinja2", "rich.markdown", "hf_xet", "IPython")


def test_nothing_is_imported_that_serving_does_not_need():
    found = subprocess.run(
        [sys.executable, "-c", "import sys, vllama.cli.serve, vllama.service.serve; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert "vllama.service.serve" in found
    assert [name for name in SLOW if name in found] == []
