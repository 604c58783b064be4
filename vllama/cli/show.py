"""``vllama show``: what a model is, in the sections that Ollama's command prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import click

from vllama.cli import completion, output
from vllama.cli import format as fmt
from vllama.cli.remote import Refused, Remote, service_options
from vllama.errors import BadRequest, NotFound

_PARTS: Final = ("license", "modelfile", "parameters", "system", "template")
_TEASER_LINES: Final = 2
ShownSection = tuple[str, Sequence[Sequence[str]]]


@click.command("show")
@click.argument("model", shell_complete=completion.models)
@click.option("--license", "part", flag_value="license", help="Print only the licence.")
@click.option("--modelfile", "part", flag_value="modelfile", help="Print only the Modelfile.")
@click.option("--parameters", "part", flag_value="parameters", help="Print only the stored parameters.")
@click.option("--system", "part", flag_value="system", help="Print only the system prompt.")
@click.option("--template", "part", flag_value="template", help="Print only the prompt template.")
@click.option("-v", "--verbose", is_flag=True, help="Add all metadata and the tensors.")
@click.option("--json", "as_json", is_flag=True, help="Print the service's answer as JSON.")
@service_options
def command(*, model: str, part: str | None, verbose: bool, as_json: bool, host: str) -> None:
    """Describe MODEL: size, context, capabilities, parameters, licence."""
    try:
        answer = Remote(host).post("/api/show", {"model": model, "verbose": verbose}, "model_info")
    except Refused as error:
        if error.http_status == 404:
            raise NotFound(error.detail, hint=f"vllama pull {model}   (or see: vllama list)") from error
        raise
    if as_json:
        output.data(answer)
    elif part is not None:
        print_part(answer, part)
    else:
        print_sections(answer, verbose=verbose)


def print_part(answer: Mapping[str, Any], part: str) -> None:
    """One of ``license, modelfile, parameters, system, template`` as it is stored."""
    if part not in _PARTS:
        raise BadRequest(f"there is no part {part!r}; parts are {', '.join(_PARTS)}")
    output.line(fmt.clean(str(answer.get(part) or "")).rstrip("\n"))


def print_sections(answer: Mapping[str, Any], *, verbose: bool = False) -> None:
    """All sections, each a title and an indented table."""
    for title, rows in sections(answer, verbose=verbose):
        output.line(f"  {output.bold(title)}")
        for row in fmt.table([], rows):
            output.line(f"    {fmt.clean(row)}")
        output.line()


def sections(answer: Mapping[str, Any], *, verbose: bool = False) -> Iterator[ShownSection]:
    """The sections that are not empty. Pure."""
    details, info = answer.get("details") or {}, answer.get("model_info") or {}
    yield "Model", list(_model_rows(details, info))
    if capabilities := answer.get("capabilities"):
        yield "Capabilities", [[capability] for capability in capabilities]
    if projector := answer.get("projector_info"):
        yield "Projector", [[key, str(value)] for key, value in projector.items()]
    if parameters := answer.get("parameters"):
        yield "Parameters", [_halves(line) for line in parameters.splitlines() if line.strip()]
    if verbose:
        yield "Metadata", [[key, _brief(value)] for key, value in sorted(info.items())]
        if tensors := answer.get("tensors"):
            yield "Tensors", [[t["name"], t["type"], str(t["shape"])] for t in tensors]
    if system := answer.get("system"):
        yield "System", _text(system, verbose)
    if license_text := answer.get("license"):
        yield "License", _text(license_text, verbose)


def _model_rows(details: Mapping[str, Any], info: Mapping[str, Any]) -> Iterator[list[str]]:
    architecture = info.get("general.architecture") or details.get("family") or ""
    if architecture:
        yield ["architecture", str(architecture)]
    count = info.get("general.parameter_count")
    size = fmt.human_count(int(count)) if count else details.get("parameter_size") or ""
    if size:
        yield ["parameters", str(size)]
    for key, label in (("context_length", "context length"), ("embedding_length", "embedding length")):
        if (value := info.get(f"{architecture}.{key}")) is not None:
            yield [label, str(value)]
    if quantization := details.get("quantization_level"):
        yield ["quantization", str(quantization)]


def _halves(line: str) -> list[str]:
    name, _, value = line.strip().partition(" ")
    return [name, value.strip()]


def _brief(value: Any) -> str:
    """A metadata value; of long lists only the beginning."""
    if isinstance(value, list):
        shown = ", ".join(str(item) for item in value[:3])
        return f"[{shown}{', ...' if len(value) > 3 else ''}]"
    return str(value)


def _text(text: str, verbose: bool) -> list[list[str]]:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    if verbose or len(lines) <= _TEASER_LINES:
        return [[line] for line in lines]
    return [[line] for line in [*lines[:_TEASER_LINES], "..."]]
