"""Writes the man pages into a folder: ``pages.py DIR`` makes DIR/man1/vllama.1 and so on.

Prose is in ``*.in`` next to this file. The lines ``@COMMANDS@``, ``@KEYS@`` and ``@PROFILES@`` are replaced by the
program's verbs and options, configuration keys and shipped profiles, in the words of ``--help`` and of the schema.
"""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from vllama import __version__
from vllama.cli.main import cli
from vllama.config.explain import rows, spelled
from vllama.config.schema import Config, Settings

_HERE: Final = Path(__file__).parent
_SETTINGS: Final = "profiles.NAME"
"""Where the settings of engines are described; other sections that have them point there."""
_PAGES: Final = ("vllama.1", "vllama.yaml.5", "vllama.service.8")


def main(folder: Path) -> None:
    """Write every page below ``folder``."""
    for name in _PAGES:
        target = folder / f"man{name[-1]}" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(page(name), "utf-8")


def page(name: str) -> str:
    """One page as roff."""
    text = (_HERE / f"{name}.in").read_text("utf-8").replace("@VERSION@", __version__)
    for mark, lines in (("@COMMANDS@\n", commands), ("@KEYS@\n", keys), ("@PROFILES@\n", profiles)):
        if mark in text:
            text = text.replace(mark, "".join(f"{line}\n" for line in lines()))
    return text


def commands() -> Iterator[str]:
    """Every verb with its arguments and options, as ``--help`` prints them."""
    context = click.Context(cli, info_name="vllama")
    for verb in cli.list_commands(context):
        command = cli.get_command(context, verb)
        if command is not None:
            yield from _command(command, context, f"vllama {verb}")


def _command(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name.rpartition(" ")[2], parent=parent)
    if isinstance(command, click.Group):
        for verb in command.list_commands(context):
            inner = command.get_command(context, verb)
            if inner is not None:
                yield from _command(inner, context, f"{name} {verb}")
        return
    usage = " ".join(command.collect_usage_pieces(context))
    yield f".SS {_roff(name)} {_roff(usage)}"
    yield from _paragraphs(command.help or "")
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in parameter.opts:
            yield ".TP"
            yield f".B {_roff(record[0])}"
            yield _roff(record[1])


def keys() -> Iterator[str]:
    """Every key of the configuration with its default, by section."""
    yield from _section(Config, "")


def profiles() -> Iterator[str]:
    """The shipped profiles as a table for tbl: model size, GPU class, settings."""
    table: dict[tuple[str, str], list[str]] = {}
    for row in rows(Config(), dict.fromkeys(("state", "cache", "runtime", "engine_prefix"), ""), lambda _: ""):
        if row.key[0] == "profiles":
            _, size, *gpu = row.key[:-1]
            table.setdefault((size, gpu[-1] if gpu else "every"), []).append(f"{row.key[-1]}: {row.value}")
    yield from (".TS", "l l lw(50n).", "MODEL\tGPU\tSETTINGS")
    for (size, gpu), settings in table.items():
        yield from (f"{size}\t{gpu}\tT{{", _roff(", ".join(settings)), "T}")
    yield ".TE"


def _section(model: type[BaseModel], path: str) -> Iterator[str]:
    inner: list[tuple[type[BaseModel], str]] = []
    if path:
        yield f".SS {_roff(path)}"
        if issubclass(model, Settings) and path != _SETTINGS:
            yield from _paragraphs(f"The keys of ``{_SETTINGS}``, for ``{path}``.")
            return
        yield from _paragraphs(model.__doc__ or "")
    for name, field in model.model_fields.items():
        section, placeholder = _section_of(field.annotation)
        where = f"{path}.{name}" if path else name
        if section is not None:
            inner.append((section, f"{where}.{placeholder}" if placeholder else where))
            continue
        yield ".TP"
        yield f'.BR {_roff(name)} " {_roff(_default(field))}"'
        yield _roff(field.description or "") or "\\&"
    for section, where in inner:
        yield from _section(section, where)


def _section_of(annotation: Any) -> tuple[type[BaseModel] | None, str]:
    """The section that a key holds, and what stands for its name in a mapping of sections."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation, ""
    if get_origin(annotation) is Mapping:
        value = get_args(annotation)[1]
        if isinstance(value, type) and issubclass(value, BaseModel):
            return value, "NAME"
    if get_origin(annotation) in {Union, types.UnionType}:
        for choice in get_args(annotation):
            found = _section_of(choice)
            if found[0] is not None:
                return found
    return None, ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value = field.get_default(call_default_factory=True)
    if value is None or value in ((), {}, ""):
        return "(no default)"
    text = spelled(value, field)
    return f"(default: {str(text).lower() if isinstance(text, bool) else text})"


def _paragraphs(text: str) -> Iterator[str]:
    for paragraph in re.split(r"\n\s*\n", text.strip().replace("\b", "")):
        if paragraph.strip():
            yield ".PP"
            yield _roff(" ".join(paragraph.split()))


def _roff(text: str) -> str:
    """Plain text as roff: dashes stay dashes, quotes and leading dots mean themselves, ``code`` is bold."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq").replace("''", "\\(aq\\(aq")
    text = re.sub(r"``(.+?)``", r"\\fB\1\\fR", text)
    return f"\\&{text}" if text.startswith((".", "'")) else text


if __name__ == "__main__":
    main(Path(sys.argv[1]))
