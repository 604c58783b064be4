"""The tables of ``make bench-ollama`` as Markdown, out of the samples that it kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from vllama.bench.figures import Figures, Percentiles
from vllama.bench.record import Record, from_json, to_json
from vllama.bench.tables import errors

BEGIN: Final = "<!-- make bench-ollama writes from here -->\n"
END: Final = "<!-- to here -->\n"
_OURS: Final = "vLLama"


def shortened(data: bytes) -> bytes:
    """The record, with gaps to a tenth of a millisecond and without the paths of the machine."""
    record = from_json(data)
    legs = tuple(
        replace(
            leg,
            samples=tuple(
                replace(one, gaps=tuple(round(gap, 4) for gap in one.gaps), total=round(one.total, 6))
                for one in leg.samples
            ),
        )
        for leg in record.legs
    )
    return to_json(replace(record, legs=legs, command=("make", "bench-ollama")))


def replaced(document: str, table: str) -> str:
    """The document with this table between the marks; ValueError where it has none."""
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no line {BEGIN.strip()} before a line {END.strip()}")
    return f"{before}{BEGIN}{table}{END}{after}"


def short(data: bytes) -> str:
    """Tokens/s and the first token of each target: what a reader wants to know first."""
    record = from_json(data)
    names = [target.name for target in record.targets]
    ratios = _ratios(record)
    against = names[1:3]
    head = ["Clients", *map(_title, names), *(f"vLLama over {name.replace('-', ' ')}" for name in against)]
    lines = [_machine(record), "", _line(head), _line(["---"] * len(head))]
    for clients, found in _by_clients(record):
        cells = [f"{_rate(found[name], found)}, {_seconds(found[name].first)}" for name in names]
        lines.append(_line([str(clients), *cells, *(ratios.get((clients, name), "") for name in against)]))
    return "\n".join(lines) + "\n"


def full(data: bytes) -> str:
    """Everything, a row for each target and number of clients."""
    record = from_json(data)
    head = [
        "Clients",
        "Server",
        "tokens/s (smallest and largest round)",
        "vLLama over it",
        "TTFT p50",
        "p95",
        "ITL p50",
    ]
    head += ["p95", "Failed"]
    ratios = _ratios(record)
    samples = "Samples: [ollama_cpu.json](benchmarks/ollama_cpu.json)."
    lines = [f"{_machine(record)} {samples}", "", _line(head), _line(["---"] * len(head))]
    for clients, found in _by_clients(record):
        for name, row in found.items():
            rates = row.tokens_per_second
            lines.append(
                _line(
                    [
                        str(clients),
                        _title(name),
                        f"{_rate(row, found)} ({rates.low:,.1f} to {rates.high:,.1f})",
                        ratios.get((clients, name), ""),
                        _seconds(row.first),
                        _seconds(row.first, high=True),
                        _seconds(row.gap),
                        _seconds(row.gap, high=True),
                        str(row.errors),
                    ]
                )
            )
    lines += [f"\n{times} × {what}" for what, times in errors(record.legs).items()]
    return "\n".join(lines) + "\n"


def _by_clients(record: Record) -> list[tuple[int, dict[str, Figures]]]:
    found: dict[int, dict[str, Figures]] = {}
    for row in record.rows:
        found.setdefault(row.clients, {})[row.target] = row
    names = [target.name for target in record.targets]
    return [(clients, {name: rows[name] for name in names}) for clients, rows in found.items()]


def _machine(record: Record) -> str:
    machine, plan = record.machine, record.plan
    rounds = "1 round" if plan.rounds == 1 else f"{plan.rounds} rounds"
    return (
        f"Measured on {machine.cpu}, {machine.cores} cores, {machine.memory / 1e9:.0f} GB, {record.measured_at[:10]}: "
        f"prompts of {record.workload.prompts.lengths[0]} tokens, answers of {record.workload.max_tokens}, {rounds}."
    )


def _title(name: str) -> str:
    if name == _OURS:
        return "vLLama, bf16"
    kind, _, way = name.partition("-")
    return f"llama.cpp {way}, {kind}"


def _ratios(record: Record) -> dict[tuple[int, str], str]:
    """vLLama over each other target, by the number of clients and its name: the median of the rounds."""
    return {
        (one.clients, one.target): f"{1 / one.tokens_per_second.median:.2f}"
        for one in record.ratios
        if one.tokens_per_second is not None and one.tokens_per_second.median
    }


def _rate(row: Figures, group: Mapping[str, Figures]) -> str:
    """Tokens/s, in bold where they are the most of the group."""
    value = row.tokens_per_second.median
    text = f"{value:,.0f}" if value >= 100 else f"{value:,.1f}"
    return f"**{text}**" if value == max(one.tokens_per_second.median for one in group.values()) else text


def _seconds(times: Percentiles | None, *, high: bool = False) -> str:
    if times is None:
        return ""
    value = times.p95 if high else times.p50
    return f"{value:.1f} s" if value >= 1 else f"{value * 1e3:.0f} ms"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
