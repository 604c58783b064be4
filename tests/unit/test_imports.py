"""Who may import whom, read from the source: the floor plan of CONTRIBUTING.md as tests."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vllama"

LAYERS: Final = (
    ("errors", ("vllama", "vllama.errors", "vllama.disk", "vllama.redaction")),
    ("pure rooms", ()),  # every module that calls itself pure
    (
        "edges",
        (
            "vllama.config",
            "vllama.download",
            "vllama.models",
            "vllama.fit",
            "vllama.engine",
            "vllama.install",
            "vllama.observe",
            "vllama.templates",
            "vllama.translate",
            "vllama.aside",
            "vllama.child",
            "vllama.files",
            "vllama.privacy",
        ),
    ),
    ("supervisor", ("vllama.supervisor",)),
    ("answering", ("vllama.answering",)),
    ("http", ("vllama.http",)),
    ("service", ("vllama.service", "vllama.bench")),
    ("cli", ("vllama.cli", "vllama.__main__")),
)
"""From the ground upwards; a module may import its own floor and those below."""

PURE_ROOMS: Final = (
    "vllama.config.schema",
    "vllama.config.address",
    "vllama.models.names",
    "vllama.models.model",
    "vllama.models.facts",
    "vllama.fit.memory",
    "vllama.config.profiles",
    "vllama.engine.command",
    "vllama.engine.sse",
    "vllama.engine.spec",
    "vllama.engine.diagnose",
    "vllama.supervisor.states",
    "vllama.supervisor.step",
    "vllama.supervisor.leases",
    "vllama.supervisor.orders",
    "vllama.supervisor.life",
    "vllama.supervisor.room",
    "vllama.supervisor.policy",
    "vllama.templates",
    "vllama.translate",
    "vllama.cli.format",
    "vllama.cli.checks",
)
"""These must say in their docstring that they are pure; whoever else says so is held to it, too."""

WINGS: Final = {
    "": 0,  # what lies in translate itself
    "conversation": 1,
    "schemas": 1,
    "engine": 2,
    "prompts": 3,
    "ollama": 4,
    "openai": 4,
    "anthropic": 4,
    "responses": 4,
}
"""The wings of ``vllama.translate`` by floor; two on one floor, as the clients' dialects are, don't know each other."""

IMPURE: Final = {
    *("aiohttp", "asyncio", "ctypes", "fcntl", "http", "huggingface_hub", "multiprocessing", "os", "psutil", "random"),
    *("select", "shutil", "socket", "ssl", "subprocess", "tempfile", "threading", "urllib.request"),
}
"""Effects, clocks and chance: none of it in a pure room."""

PURE_PARTS: Final = {
    "logging": r"[A-Z]+|getLevelNamesMapping",  # the levels' numbers
    "signal": r"SIG[A-Z0-9]+|Signals",  # the signals' numbers
    "sys": "float_info|maxsize|intern",
    "time": "strftime|gmtime",  # of a time that was handed over
}
"""Modules of which a pure room may use what is itself pure."""

ENGINE_SIDE: Final = ("vllama.install.ask", "vllama.engine.tool_blanks", "vllama.engine.plugin", "vllama_engine")
"""What the engine's own interpreter runs: it imports vLLM; nobody here imports it."""

_PURE: Final = re.compile(r"(?:^|[.;]\s)pure\b|\bone pure function\b", re.IGNORECASE)
ENGINE_PACKAGES: Final = {"vllm", "torch", "transformers", "safetensors", "numpy", "ray"}


@dataclass(frozen=True)
class Module:
    name: str
    tree: ast.Module

    @property
    def pure(self) -> bool:
        return bool(_PURE.search(ast.get_docstring(self.tree) or ""))

    @property
    def layer(self) -> int:
        if self.name in LAYERS[0][1]:
            return 0
        if self.pure:
            return 1
        for number, (_, rooms) in enumerate(LAYERS):
            if any(within(self.name, room) for room in rooms if room != "vllama"):
                return number
        raise AssertionError(f"{self.name} stands on no floor: add its room to LAYERS and to CONTRIBUTING.md")

    def imports(self) -> Iterator[tuple[str, int]]:
        """Absolute names of what is imported anywhere in the module, and the line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                plugin = within(self.name, "vllama.engine.plugin")  # has another name inside the engine
                assert node.level == 0 or plugin, f"{self.name}:{node.lineno}: imports are absolute here"
                base = "vllama.engine.plugin." * bool(node.level) + (node.module or "")
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield (full if full in modules() else base), node.lineno


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room + ".")


def engine_side(name: str) -> bool:
    return any(within(name, room) for room in ENGINE_SIDE)


@cache
def modules() -> dict[str, Module]:
    found = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, ast.parse(path.read_text("utf-8"), str(path)))
    return found


def tell(findings: list[str]) -> None:
    assert not findings, "\n".join(["", *sorted(set(findings))])


def calls(module: Module) -> Iterator[tuple[str, int]]:
    """Dotted names that are read or called: ``print``, ``click.echo``, ``os.environ``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno


def test_every_module_imports_only_its_own_floor_and_those_below() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            other = modules().get(name)
            if other is not None and other.layer > module.layer:
                mine, theirs = LAYERS[module.layer][0], LAYERS[other.layer][0]
                findings.append(f"{module.name}:{line} ({mine}) imports {name} ({theirs}), which is above it")
    tell(findings)


@pytest.mark.parametrize(
    ("room", "strangers", "reason"),
    [
        ("vllama.translate", ("vllama.supervisor", "vllama.http", "aiohttp"), "translation knows texts, not machines"),
        ("vllama.engine", ("vllama.translate", "vllama.http", "vllama.supervisor"), "the engine knows no Ollama"),
        ("vllama.models", ("vllama.supervisor", "vllama.http", "vllama.engine.process"), "models are files"),
        ("vllama.models", ("vllama.translate",), "what a model is does not depend on how clients speak of it"),
        ("vllama.config", ("vllama.translate",), "a configuration knows no dialect"),
        ("vllama.templates", ("vllama.models", "vllama.translate"), "a template is a language, not a model"),
        ("vllama.fit", ("vllama.supervisor", "vllama.engine.process"), "fitting is arithmetic"),
        ("vllama.bench", ("vllama.supervisor", "vllama.http", "vllama.service"), "the bench is a client"),
        ("vllama.answering", ("aiohttp", "vllama.http"), "answering knows no HTTP"),
        ("vllama.http", ("vllama.engine.process", "vllama.fit", "vllama.cli"), "http sees no process and no GPU"),
    ],
)
def test_a_room_keeps_to_its_own_matter(room: str, strangers: tuple[str, ...], reason: str) -> None:
    tell(
        [
            f"{module.name}:{line} imports {name}: {reason}"
            for module in modules().values()
            if within(module.name, room)
            for name, line in module.imports()
            if any(within(name, stranger) for stranger in strangers)
        ]
    )


def test_http_and_answering_see_of_the_supervisor_only_its_port() -> None:
    tell(
        [
            f"{module.name}:{line} imports {name}: only supervisor.port is for this room"
            for module in modules().values()
            if within(module.name, "vllama.http") or within(module.name, "vllama.answering")
            for name, line in module.imports()
            if within(name, "vllama.supervisor") and name != "vllama.supervisor.port"
        ]
    )


DIALECTS: Final = tuple(f"vllama.http.{name}" for name in ("ollama", "openai", "anthropic", "responses", "own"))
"""Packages of routes; what they share is in ``vllama.http`` itself."""


def test_no_dialect_imports_another_and_only_the_application_imports_them_all() -> None:
    findings = []
    for module in modules().values():
        if not within(module.name, "vllama.http") or module.name == "vllama.http.app":
            continue
        mine = next((dialect for dialect in DIALECTS if within(module.name, dialect)), "the floor of all dialects")
        for name, line in module.imports():
            theirs = next((dialect for dialect in DIALECTS if within(name, dialect)), mine)
            if theirs != mine:
                findings.append(f"{module.name}:{line} imports {name}: {mine} imports no dialect, or itself alone")
    tell(findings)


def test_a_wing_of_translate_imports_only_those_below_it() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            if within(module.name, "vllama.translate") and within(name, "vllama.translate"):
                mine, theirs = wing_of(module.name), wing_of(name)
                if theirs != mine and WINGS[theirs] >= WINGS[mine]:
                    findings.append(f"{module.name}:{line} imports {name}: {mine} does not stand above {theirs}")
    tell(findings)


def wing_of(module: str) -> str:
    """The package below ``vllama.translate``; empty for what all wings share."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 and (PACKAGE / "translate" / parts[2]).is_dir() else ""


ACYCLIC: Final = (
    "cli",
    "service",
    "http",
    "answering",
    "supervisor",
    "aside",
    "translate",
    "templates",
    "install",
    "observe",
)
"""Packages that nothing below them leads back to."""


def package_of(name: str) -> str:
    return name.split(".")[1] if name.count(".") else ""


@pytest.mark.parametrize("package", ACYCLIC)
def test_no_way_leads_from_a_package_back_to_it(package: str) -> None:
    ways: dict[str, set[str]] = {}
    for module in modules().values():
        ways.setdefault(package_of(module.name), set()).update(
            package_of(name) for name, _ in module.imports() if name in modules()
        )
    found, ahead = set[str](), ways[package] - {package, ""}
    while ahead:
        one = ahead.pop()
        found.add(one)
        ahead |= ways[one] - found - {""}
    assert package not in found, f"{package} is imported by what it imports: {sorted(found)}"


def test_the_rooms_that_should_be_pure_say_so() -> None:
    tell(
        [
            f"{module.name} does not say 'Pure.' in its docstring"
            for module in modules().values()
            if any(within(module.name, room) for room in PURE_ROOMS)
            if not module.pure
        ]
    )


def test_pure_rooms_have_no_effects() -> None:
    tell(
        [
            f"{module.name}:{line} is pure but imports {name}"
            for module in modules().values()
            if module.pure
            for name, line in module.imports()
            if name in IMPURE or name.partition(".")[0] in IMPURE
        ]
        + [
            f"{module.name}:{line} is pure but uses {name}"
            for module in modules().values()
            if module.pure
            for name, line in calls(module)
            if (allowed := PURE_PARTS.get(name.partition(".")[0])) and "." in name
            if not re.fullmatch(allowed, name.partition(".")[2])
        ]
    )


def test_the_service_never_imports_the_engine() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            if name.partition(".")[0] in ENGINE_PACKAGES and not engine_side(module.name):
                findings.append(f"{module.name}:{line} imports {name}: that lives in the engine's own interpreter")
            if engine_side(name) and not engine_side(module.name):
                findings.append(f"{module.name}:{line} imports {name}: only the engine's interpreter runs it")
    tell(findings)


HUBS_SIDE: Final = frozenset(f"vllama.download.{name}" for name in ("child", "hub", "cache", "border"))
"""What the child imports that speaks with the hub."""
_BRIEF: Final = {"vllama.cli.plan", "vllama.cli.catalog"}
"""Commands that ask the hub themselves, and end."""


def test_the_service_never_imports_the_hubs_library() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            if name.partition(".")[0] == "huggingface_hub" and module.name not in HUBS_SIDE:
                findings.append(f"{module.name}:{line} imports {name}: that is slow and large, and for the child only")
            if name in HUBS_SIDE and module.name not in HUBS_SIDE | _BRIEF:
                findings.append(f"{module.name}:{line} imports {name}: only the child runs it")
    tell(findings)


def test_only_cli_output_prints() -> None:
    printers = {"print", "pprint", "click.echo", "click.secho", "sys.stdout", "sys.stderr", "sys.__stdout__"}
    # these only look whether there is a terminal; the log goes to stderr by its own handler
    looks = {"vllama.cli.run", "vllama.cli.progress", "vllama.observe.logs"}
    tell(
        [
            f"{module.name}:{line} uses {name}: only vllama.cli.output prints"
            for module in modules().values()
            if module.name != "vllama.cli.output" and not engine_side(module.name)
            for name, line in calls(module)
            if name in printers and not (module.name in looks and name.startswith("sys.std"))
        ]
    )


def test_only_config_environment_reads_the_environment() -> None:
    readers = {"os.environ", "os.environb", "os.getenv", "os.getenvb"}
    tell(
        [
            f"{module.name}:{line} uses {name}: only vllama.config.environment reads it and hands it on"
            for module in modules().values()
            if module.name not in {"vllama.config.environment", "vllama.child", "vllama.privacy"}
            and not engine_side(module.name)
            for name, line in calls(module)
            if name in readers
        ]
    )


WIDE_CATCHES: Final = {
    "vllama.http.middleware": "a request that fails is an answer",
    "vllama.answering.choices": "hands each error on to the one who waits",
    "vllama.cli.main": "a command that fails is a message",
    "vllama.disk": "hands each error on to the one who waits",
    "vllama.aside.worker": "whatever a job raises is told to the service",
    "vllama.models.library": "one bad manifest is one bad model",
    "vllama.models.shelf": "one bad model is one bad model",
    "vllama.supervisor.tasks": "a supervision task that fails is an event",
}


def test_bare_exceptions_are_caught_in_named_places_only() -> None:
    allowed = WIDE_CATCHES
    findings = []
    for module in modules().values():
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.ExceptHandler) or module.name in allowed or engine_side(module.name):
                continue
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            names = [getattr(kind, "id", "everything" if kind is None else "") for kind in kinds]
            if {"everything", "Exception", "BaseException"} & set(names):
                findings.append(f"{module.name}:{node.lineno} catches everything: name what can happen there")
    tell(findings)


def test_every_child_is_started_from_a_directory_of_its_own() -> None:
    starters = {"subprocess.run", "subprocess.Popen", "asyncio.create_subprocess_exec"}
    others = (
        r"(?:subprocess\.(?:call|check_\w+|get\w*output)|os\.(?:exec|spawn|posix_spawn|fork|popen|system)\w*|pty\..*"
    )
    others += r"|asyncio\.create_subprocess_shell|multiprocessing\..*|\w*\.?ProcessPoolExecutor)"
    packaging = (ROOT / "packaging").rglob("*.py")
    scripts = [Module(str(path.relative_to(ROOT)), ast.parse(path.read_text("utf-8"))) for path in packaging]
    findings = []
    for module in (*modules().values(), *scripts):
        safe = {
            node.func
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call)
            and any(keyword.arg is None and "start" in ast.unparse(keyword.value) for keyword in node.keywords)
        }
        for node in ast.walk(module.tree):
            if not isinstance(node, ast.Call) or module.name == "vllama.child":
                continue
            name = ast.unparse(node.func)
            if re.fullmatch(others, name) or (name in starters and node.func not in safe):
                findings.append(f"{module.name}:{node.lineno} starts a child by {name} without **child.start()")
    tell(findings)


def test_every_module_says_what_it_is() -> None:
    tell([f"{module.name} has no docstring" for module in modules().values() if not ast.get_docstring(module.tree)])
