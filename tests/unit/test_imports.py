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

FLOORS: Final = (
    ("vllama",),  # the version
    ("caller", "child", "disk", "durations", "files", "jsontext", "quoting", "redaction", "sizes", "times"),
    ("errors", "privacy"),
    ("errand", "install", "templates"),
    ("models",),
    ("config", "translate"),
    ("aside", "fit"),
    ("bench", "download", "engine"),
    ("observe", "supervisor"),
    ("answering",),
    ("http",),
    ("service",),
    ("cli",),
    ("__main__",),
)
"""The packages from the ground upwards; each imports only those of lower floors, and none of its own floor."""

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
    "vllama.observe.news",
    "vllama.supervisor.states",
    "vllama.supervisor.step",
    "vllama.supervisor.leases",
    "vllama.supervisor.orders",
    "vllama.supervisor.life",
    "vllama.supervisor.room",
    "vllama.supervisor.policy",
    "vllama.supervisor.tenants",
    "vllama.templates",
    "vllama.translate",
    "vllama.cli.format",
    "vllama.service.checks",
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

HARMLESS: Final = {"vllama", "vllama.errors", "vllama.redaction"}
"""What a pure room imports, too: values without effects."""

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
    def package(self) -> str:
        """The package or the single module directly below ``vllama``."""
        return self.name.split(".")[1] if "." in self.name else self.name

    @property
    def floor(self) -> int:
        found = [number for number, floor in enumerate(FLOORS) if self.package in floor]
        assert found, f"{self.name} stands on no floor: add {self.package} to FLOORS and to CONTRIBUTING.md"
        return found[0]

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


def report(findings: list[str]) -> None:
    assert not findings, "\n".join(["", *sorted(set(findings))])


def calls(module: Module) -> Iterator[tuple[str, int]]:
    """Dotted names that are read or called: ``print``, ``click.echo``, ``os.environ``."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}", node.lineno
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno


def test_a_package_imports_only_those_of_lower_floors() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            other = modules().get(name)
            if other is not None and other.package != module.package and other.floor >= module.floor:
                findings.append(f"{module.name}:{line} imports {name}: {other.package} is not below {module.package}")
    report(findings)


def test_no_way_leads_from_a_module_back_to_it() -> None:
    ways = {name: {other for other, _ in module.imports() if other in modules()} for name, module in modules().items()}
    report([f"{name} is imported by what it imports" for name in ways if name in reached(ways, name)])


def reached(ways: dict[str, set[str]], begin: str) -> set[str]:
    """All that ``begin`` imports, directly or not."""
    found, ahead = set[str](), {*ways[begin]}
    while ahead:
        one = ahead.pop()
        found.add(one)
        ahead |= ways[one] - found
    return found


@pytest.mark.parametrize(
    ("room", "strangers", "reason"),
    [
        ("vllama.translate", ("aiohttp",), "translation knows texts, not machines"),
        ("vllama.engine", ("vllama.translate",), "the engine knows no Ollama"),
        ("vllama.fit", ("vllama.translate",), "fitting is arithmetic"),
        ("vllama.download", ("vllama.translate",), "a download knows no dialect"),
        ("vllama.bench", ("vllama.config", "vllama.translate", "vllama.aside"), "the bench is a client"),
        ("vllama.answering", ("aiohttp",), "answering knows no HTTP"),
        ("vllama.http", ("vllama.engine.process", "vllama.fit"), "http sees no process and no GPU"),
    ],
)
def test_a_room_keeps_to_its_own_matter(room: str, strangers: tuple[str, ...], reason: str) -> None:
    report(
        [
            f"{module.name}:{line} imports {name}: {reason}"
            for module in modules().values()
            if within(module.name, room)
            for name, line in module.imports()
            if any(within(name, stranger) for stranger in strangers)
        ]
    )


def test_http_and_answering_see_of_the_supervisor_only_its_port() -> None:
    report(
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
    report(findings)


def test_a_wing_of_translate_imports_only_those_below_it() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            if within(module.name, "vllama.translate") and within(name, "vllama.translate"):
                mine, theirs = wing_of(module.name), wing_of(name)
                if theirs != mine and WINGS[theirs] >= WINGS[mine]:
                    findings.append(f"{module.name}:{line} imports {name}: {mine} does not stand above {theirs}")
    report(findings)


def wing_of(module: str) -> str:
    """The package below ``vllama.translate``; empty for what all wings share."""
    parts = module.split(".")
    return parts[2] if len(parts) > 2 and (PACKAGE / "translate" / parts[2]).is_dir() else ""


def test_the_rooms_that_should_be_pure_say_so() -> None:
    report(
        [
            f"{module.name} does not say 'Pure.' in its docstring"
            for module in modules().values()
            if any(within(module.name, room) for room in PURE_ROOMS)
            if not module.pure
        ]
    )


def test_pure_rooms_have_no_effects() -> None:
    report(
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


def test_pure_rooms_import_only_pure_rooms() -> None:
    report(
        [
            f"{module.name}:{line} is pure but imports {name}, which is not"
            for module in modules().values()
            if module.pure
            for name, line in module.imports()
            if name in modules() and name not in HARMLESS and not modules()[name].pure
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
    report(findings)


HUBS_SIDE: Final = frozenset(f"vllama.download.{name}" for name in ("child", "parts", "hub", "cache", "border"))
"""What the child imports that speaks with the hub."""
_BRIEF: Final = {"vllama.cli.plan", "vllama.cli.catalog", "vllama.cli.revisions", "vllama.cli.search"}
"""Commands that ask the hub themselves, and end."""


def test_the_service_never_imports_the_hubs_library() -> None:
    findings = []
    for module in modules().values():
        for name, line in module.imports():
            if name.partition(".")[0] == "huggingface_hub" and module.name not in HUBS_SIDE:
                findings.append(f"{module.name}:{line} imports {name}: that is slow and large, and for the child only")
            if name in HUBS_SIDE and module.name not in HUBS_SIDE | _BRIEF:
                findings.append(f"{module.name}:{line} imports {name}: only the child runs it")
    report(findings)


def test_only_cli_output_prints() -> None:
    printers = {"print", "pprint", "click.echo", "click.secho", "sys.stdout", "sys.stderr", "sys.__stdout__"}
    # these only look whether there is a terminal; the log goes to stderr by its own handler
    looks = {"vllama.cli.run", "vllama.cli.progress", "vllama.observe.logs"}
    report(
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
    report(
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
    "vllama.answering.choices": "passes each error on to the waiting task",
    "vllama.cli.main": "a command that fails is a message",
    "vllama.disk": "passes each error on to the waiting task",
    "vllama.aside.worker": "whatever a job raises is reported to the service",
    "vllama.errand.parent": "passes each error on to the waiting task",
    "vllama.models.library": "one bad manifest is one bad model",
    "vllama.models.shelf": "one bad model is one bad model",
    "vllama.observe.books": "who fails to count a request keeps it from nobody else",
    "vllama.observe.feed": "a subscriber that fails keeps no news from the others",
    "vllama.observe.machine_watch": "a look at the machine that fails ends no service",
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
    report(findings)


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
    report(findings)


def test_every_module_says_what_it_is() -> None:
    report([f"{module.name} has no docstring" for module in modules().values() if not ast.get_docstring(module.tree)])
