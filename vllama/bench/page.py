"""A measurement as one HTML file that needs nothing else. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from html import escape
from typing import Final

from vllama.bench import tables
from vllama.bench.chart import picture
from vllama.bench.identity import described
from vllama.bench.record import Record
from vllama.bench.svg import svg
from vllama.bench.tables import Table

_STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto; max-width: 66rem;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px; }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid #ddd; white-space: nowrap; }
th { font-weight: 600; } td:nth-child(2), th:nth-child(2) { text-align: left; }
pre { background: #f4f4f4; padding: .7rem; overflow-x: auto; } .scroll { overflow-x: auto; }
svg { max-width: 100%; height: auto; } .note { color: #a33; }
"""

_LEGEND: Final = (
    "Medians over the rounds, with the smallest and largest; percentiles over all requests. TTFT: time to the first "
    "token. ITL: between two pieces of text. CPU: of the processes at the address. Tokens are the server's own count."
)


def page(record: Record) -> str:
    """The whole document."""
    return "\n".join(
        (
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(_title(record))}</title><style>{_STYLE}</style></head><body>",
            *_body(record),
            "</body></html>\n",
        )
    )


def work_in_words(record: Record) -> str:
    """What was asked."""
    work, plan = record.workload, record.plan
    lengths = ", ".join(map(str, work.prompts.lengths))
    asked = f"{work.route}, {'streamed' if work.stream else 'in one piece'}"
    prompt = "the same prompt" if work.prompt else f"prompts of {lengths} tokens"
    system = f" after a shared system prompt of {work.prompts.system}" if work.prompts.system else ""
    length = f"exactly {work.max_tokens} tokens" if work.fixed else f"up to {work.max_tokens} tokens"
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    return f"{asked}; {prompt}{system}, answers of {length}; {rounds}, turn by turn"


def _title(record: Record) -> str:
    return " and ".join(target.name for target in record.targets)


def _body(record: Record) -> Iterator[str]:
    machine = record.machine
    yield f"<h1>{escape(_title(record))}: speed</h1>"
    parts = (
        f"{machine.cpu}, {machine.cores} cores",
        f"{machine.memory / 2**30:.0f} GiB",
        *machine.gpus,
        machine.system,
    )
    where = ", ".join(part for part in parts if part)
    yield f"<p>{escape(record.measured_at)}, {escape(where)}, vLLama {escape(record.vllama)}.</p>"
    yield f"<p>{escape(work_in_words(record))}.</p>"
    yield f"<pre>{escape(shlex.join(record.command))}</pre>"
    yield "<ul>"
    for name, identity in record.identities.items():
        yield f"<li>{escape(described(name, identity))}</li>"
    yield "</ul>"
    for note in record.notes():
        yield f'<p class="note">{escape(note)}</p>'
    for verdict in record.verdicts:
        word = "met" if verdict.met else "missed"
        yield f"<p>{escape(f'{word}: {verdict.what}: {verdict.measured} (wanted {verdict.wanted})')}</p>"
    yield svg(picture(record.rows))
    yield "<h2>Figures</h2>"
    yield from _table(tables.speeds(record.rows))
    yield from _table(tables.waits(record.rows))
    yield f"<p>{escape(_LEGEND)}</p>"
    if record.ratios:
        first = record.targets[0].name
        yield f"<h2>Against {escape(first)}</h2>"
        yield from _table(tables.against(record.ratios, first))
        yield "<p>Each round's legs over their neighbours of the same round.</p>"
    if record.memory:
        yield "<h2>Memory</h2>"
        yield from _table(tables.memories(record.memory))
    for what, times in tables.errors(record.legs).items():
        yield f'<p class="note">{times} x {escape(what)}</p>'


def _table(table: Table) -> Iterator[str]:
    head, rows = table
    yield '<div class="scroll"><table><tr>'
    yield "".join(f"<th>{escape(word)}</th>" for word in head)
    yield "</tr>"
    for row in rows:
        yield f"<tr>{''.join(f'<td>{escape(word)}</td>' for word in row)}</tr>"
    yield "</table></div>"
