"""``vllama bench report``: the tables, curves and page of a measurement that was kept."""

from __future__ import annotations

from pathlib import Path

import click

from vllama.bench.record import from_json
from vllama.cli.bench import options
from vllama.cli.bench.speed import print_record
from vllama.errors import NotFound


@click.command("report", short_help="Print again what --json wrote.")
@click.argument("file", type=options.FILE)
@click.option("--plot", type=options.FILE, callback=options.plot_file, help="Draw curves: FILE.svg or FILE.png.")
@click.option("--html", type=options.FILE, help="Write a report in one file.")
def command(*, file: Path, plot: Path | None, html: Path | None) -> None:
    """Print again what vllama bench --json wrote into FILE; measure nothing."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise NotFound(f"can't read {file}: {error.strerror or error}") from error
    record = from_json(data)
    print_record(record)
    options.write_pictures(record, plot, html)
