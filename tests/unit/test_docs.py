"""What the documents say is there, and what is there is in the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import yaml
from pydantic import BaseModel

from vllama.cli.chat import slash
from vllama.cli.main import cli
from vllama.config.schema import Config, ModelEntry, Settings
from vllama.config.variables import VARIABLES

ROOT = Path(__file__).parents[2]
PAGES_WITH_YAML = (
    "configuration",
    "monitoring",
    "coming-from-ollama",
    "storage",
    "offline",
    "hardware",
    "memory",
    "proxy",
)
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def section(text: str, title: str) -> str:
    """The part of a document under the heading ``title``."""
    _, _, rest = text.partition(f"\n## {title}\n")
    return rest.partition("\n## ")[0]


def commands() -> Iterator[tuple[str, click.Command]]:
    """Every verb and verb of a verb, with its words: ``engine install``."""
    context = click.Context(cli)
    for verb in cli.list_commands(context):
        command = cli.get_command(context, verb)
        assert command is not None, verb
        yield verb, command
        if isinstance(command, click.Group):
            inner = click.Context(command, parent=context)
            for word in command.list_commands(inner):
                found = command.get_command(inner, word)
                assert found is not None
                yield f"{verb} {word}", found


def keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield name
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind)


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_every_command_and_option_is_described(words: str, command: click.Command) -> None:
    verb, _, more = words.partition(" ")
    text = section(read("docs/cli.md"), f"vllama {verb}")
    assert f"vllama {words}" in text if more else text
    for option in command.params:
        if isinstance(option, click.Option):
            for spelling in option.opts:
                found = re.search(rf"`[^`]*{re.escape(spelling)}\b", text)
                assert found, f"docs/cli.md does not describe {spelling} of vllama {words}"


def test_no_option_is_described_that_does_not_exist() -> None:
    text = read("docs/cli.md")
    for verb in {words.split()[0] for words, _ in commands()}:
        real = {s for words, c in commands() if words.split()[0] == verb for o in c.params for s in o.opts}
        reported = set(re.findall(r"`(--[a-z-]+)", section(text, f"vllama {verb}")))
        assert reported <= real | {"--help"}, f"vllama {verb}: {sorted(reported - real)}"


@pytest.mark.parametrize(("words", "command"), list(commands()))
def test_every_command_explains_itself(words: str, command: click.Command) -> None:
    assert command.help, words
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"vllama {words} {option.opts}"


def test_every_setting_of_a_chat_is_described() -> None:
    text = section(read("docs/cli.md"), "vllama run")
    for verb in slash._VERBS:
        assert f"`{verb}" in text or verb == "/exit", verb
    for setting in slash._SETTERS:
        assert f"/set {setting}" in text, setting


@pytest.mark.parametrize("model", [Config, ModelEntry, Settings])
def test_every_key_of_the_configuration_is_described(model: type[BaseModel]) -> None:
    text = read("docs/configuration.md")
    missing = [key for key in keys(model) if f"`{key}`" not in text and f"\n## {key}\n" not in text]
    assert not missing


def test_every_environment_variable_is_described() -> None:
    text = read("docs/configuration.md")
    assert not [variable.name for variable in VARIABLES if f"`{variable.name}`" not in text]


def test_every_metric_is_described() -> None:
    sources = "".join(path.read_text("utf-8") for path in (ROOT / "vllama" / "observe").glob("*.py"))
    made = set(re.findall(r'(?:Counter|Gauge|Histogram|MetricFamily|Latency)\(\s*"(vllama_[a-z_]+)"', sources))
    assert len(made) > 20
    text = read("docs/monitoring.md")
    assert not [name for name in made if not re.search(rf"`{name}(?:_total)?`", text)]


def test_the_configuration_of_the_documents_is_valid() -> None:
    for name in ("README.md", *(f"docs/{page}.md" for page in PAGES_WITH_YAML)):
        blocks = re.findall(r"```yaml\n(.*?)```", read(name), re.DOTALL)
        assert blocks
        for block in blocks:
            Config.model_validate(yaml.safe_load(re.sub(r"^(\s+)(\d+):", r'\1"\2":', block, flags=re.MULTILINE)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text("utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "docs/architecture.md"])
def test_files_that_are_named_exist(document: str) -> None:
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.(?:py|yaml))(?:\b|`)", read(document))
    missing = [name for name in named if not any((root / name).exists() for root in (ROOT, ROOT / "vllama"))]
    assert not missing


def test_every_room_is_on_the_floor_plan() -> None:
    plan = section(read("CONTRIBUTING.md"), "The rooms")
    packages = {path.parent.name for path in (ROOT / "vllama").glob("*/*.py") if path.stem != "__init__"}
    assert packages
    assert not [name for name in packages if f"`vllama/{name}/`" not in plan]


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for document in DOCUMENTS:
        named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", document.read_text("utf-8")))
        assert named <= targets, f"{document.name}: {sorted(named - targets)}"


def test_the_index_names_every_page() -> None:
    index = read("docs/README.md")
    named = {target.partition("#")[0] for target in re.findall(r"\]\(([^)]+)\)", index)}
    pages = {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages
    assert not pages - named


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_headings_that_exist(document: Path) -> None:
    for target, heading in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", document.read_text("utf-8")):
        page = document.parent / target if target else document
        assert heading in anchors(page.read_text("utf-8")), f"{document.name} links to {target}#{heading}"


def anchors(text: str) -> set[str]:
    """Of each heading, as GitHub makes them: small letters, hyphens for blanks, no other marks."""
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
