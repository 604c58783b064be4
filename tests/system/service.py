"""The installed service in a lab: configure it, ask it as a client of the network would, look at its processes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import yaml

from tests.system.bounds import until
from tests.system.lab import Lab
from tests.system.network import SERVER

_TOP: Final = Path(__file__).parents[2]
_MODELS: Final = "/var/lib/models"
_FAKE: Final = "/opt/fake/python"
ENGINES: Final = "/var/lib/vllama-engine"
_INTERPRETER: Final = """\
#!/usr/bin/python3
import sys
sys.path.insert(0, "/opt/fake")
if "glutton" in " ".join(sys.argv):
    print("Starting to load model, and taking all the memory there is", flush=True)
    held = bytearray(b"x") * (1 << 30)
from tests.fakes.interpreter import main
sys.exit(main(sys.argv[1:], "cpu"))
"""
_BURST: Final = """
import http.client, sys, threading, time
host, least, answered, failed, stop = sys.argv[1], int(sys.argv[2]), [], [], threading.Event()

def ask():
    while not stop.is_set() or (len(answered) < least and not failed):
        try:
            connection = http.client.HTTPConnection(host, 11434, timeout=60)
            connection.request("GET", "/api/version")
            status = connection.getresponse().status
            connection.close()
            (answered if status == 200 else failed).append(status)
        except Exception as error:
            failed.append(repr(error))
        time.sleep(0.02)

threads = [threading.Thread(target=ask) for _ in range(4)]
[thread.start() for thread in threads]
sys.stdin.read()
stop.set()
[thread.join() for thread in threads]
print(len(answered), *failed)
"""


class InstalledService:
    """vllama.service, with fake engines unless ``configure`` says otherwise."""

    unit: Final = "vllama.service"

    def __init__(self, lab: Lab) -> None:
        self.lab = lab

    # ------------------------------------------------------------------------------------------- what it runs with

    def purge(self) -> None:
        """Remove it by rpm, and all it leaves by what docs/service.md says."""
        if self.lab.run("rpm", "-q", "vllama", check=False).returncode == 0:
            self.lab.run("rpm", "-e", "vllama")
        if self.lab.run("id", "vllama", check=False).returncode == 0:
            for command in documented("Removing it"):
                self.lab.run("sh", "-c", command)

    def install_fake_engine(self, version: str) -> None:
        """What `vllama engine install` leaves behind, with a fake vLLM in it."""
        home = f"{ENGINES}/{version}-cpu"
        self.lab.run("mkdir", "-p", f"{home}/bin")
        self.lab.write(f"{home}/bin/python", _INTERPRETER, 0o755)
        self.lab.write(f"{home}/capabilities.json", self.lab.run(f"{home}/bin/python", "-I", "ask.py").stdout)
        self.lab.run("ln", "-sfn", f"{version}-cpu", f"{ENGINES}/current")

    def lay_out_fakes(self) -> None:
        """Put the fake engine and the models that it pretends to be into the root."""
        for folder in ("tests/fakes", "vllama/models/builtin/tinychat"):
            self.lab.put(_TOP / folder, f"/opt/fake/{folder}")
        self.lab.write("/opt/fake/tests/__init__.py", "")
        known = Path("vllama/install/registry.json")  # what the fake engine says it knows about models
        self.lab.write(f"/opt/fake/{known}", (_TOP / known).read_text())
        self.lab.write(_FAKE, _INTERPRETER, 0o755)
        self.lab.run("python3", "-m", "compileall", "-q", "/opt/fake")  # the service may not write there

    def model(self, name: str, **script: Any) -> dict[str, str]:
        """A configuration entry for a model whose engine behaves as scripted (``tests.fakes.script``)."""
        self.lab.put(_TOP / "vllama/models/builtin/tinychat", f"{_MODELS}/{name}")
        self.lab.write(f"{_MODELS}/{name}/fake.json", json.dumps(script))
        return {"source": f"{_MODELS}/{name}"}

    def configure(self, **sections: Any) -> None:
        """Write /etc/vllama.yaml: the model mini on fake engines, for the whole network, less what is given."""
        self.write_config(yaml.safe_dump(self.settings(**sections)))

    def settings(self, **sections: Any) -> dict[str, Any]:
        """What ``configure`` writes."""
        return {
            "server": {"host": "0.0.0.0"},
            "engine": {"python": _FAKE, "drain_timeout": "5s", **sections.pop("engine", {})},
            "models": sections.pop("models", None) or {"mini": self.model("mini")},
            **sections,
        }

    def write_config(self, text: str) -> None:
        """Replace the text of /etc/vllama.yaml; owner and mode stay as rpm made them."""
        self.lab.write("/etc/vllama.yaml", text)

    # ---------------------------------------------------------------------------------------------------- its life

    def fresh(self, **sections: Any) -> None:
        """Stopped, all its failures forgotten, configured, started."""
        self.control("stop", check=False)
        self.control("reset-failed", check=False)
        self.configure(**sections)
        self.control("start")

    def control(self, verb: str, *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """``systemctl VERB vllama.service``."""
        return self.lab.run("systemctl", verb, self.unit, check=check, timeout=120)

    def drop_in(self, name: str, *lines: str) -> None:
        """Change the unit as ``systemctl edit`` would; without lines the change is taken back."""
        folder = f"/run/systemd/system/{self.unit}.d"
        text = "\n".join(("[Service]", *lines))
        command = f"cat > {folder}/{name}.conf <<'END'\n{text}\nEND" if lines else f"rm -f {folder}/{name}.conf"
        self.lab.run("sh", "-c", f"mkdir -p {folder}; {command}")
        self.lab.run("systemctl", "daemon-reload")

    def value(self, name: str) -> str:
        """One property of the unit."""
        return self.lab.show(self.unit, name).get(name, "")

    @property
    def pid(self) -> int:
        """The daemon's process id, inside."""
        return int(self.value("MainPID"))

    def processes(self) -> list[int]:
        """Every process of the unit, engines included, inside."""
        listed = self.lab.run("sh", "-c", "cat /sys/fs/cgroup/system.slice/vllama.service/*/cgroup.procs", check=False)
        return [int(pid) for pid in listed.stdout.split()]

    def engine_pid(self, model: str = "mini") -> int:
        """The engine that serves a model, inside; 0 where there is none."""
        found = self.lab.run("pgrep", "-o", "-f", "--", f"--served-model-name {model}", check=False).stdout.split()
        return int(found[0]) if found else 0

    def core_pid(self) -> int:
        """The newest engine's EngineCore, inside."""
        return int(self.lab.run("pgrep", "-n", "-f", "VLLM::EngineCor").stdout)

    def status_text(self) -> str:
        """The line that ``systemctl status`` shows."""
        return self.value("StatusText")

    # ------------------------------------------------------------------------------------------- what clients do

    def ask(self, path: str, body: Any = None, *, client: int = 1, server: str = SERVER, seconds: float = 60) -> Answer:
        """One request from a machine of the network."""
        command = [*self.lab.on_client(client), *_curl(server, path, body, seconds)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return Answer(done.returncode, done.stdout)

    def chat(self, model: str = "mini", text: str = "hello", **more: Any) -> Answer:
        """A whole answer, unstreamed."""
        return self.ask("/api/chat", chat_body(model, text), **more)

    def start_chat(self, model: str, text: str) -> subprocess.Popen[str]:
        """A streamed answer that is under way: its output is the stream."""
        body = {**chat_body(model, text), "stream": True}
        command = [*self.lab.on_client(1), *_curl(SERVER, "/api/chat", body, 60)]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    @contextmanager
    def burst(self, least: int = 80) -> Iterator[list[str]]:
        """Requests, four at a time, each on a connection of its own, during the block and until so many are answered.

        Then the list holds how many were answered, and a word for every one that was not.
        """
        command = [*self.lab.on_client(1), sys.executable, "-c", _BURST, SERVER, str(least)]
        reported: list[str] = []
        asking = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            yield reported
        finally:
            reported += asking.communicate()[0].split(maxsplit=1)

    def complaints(self, since: str) -> list[str]:
        """What the journal has of the unit at warning and above.

        Less what the systemd inside says of controllers that a hybrid machine keeps to itself.
        """
        entries = self.lab.journal("-u", "vllama", "-p", "warning", f"--since={since}")
        reported = [(entry["_PID"], str(entry["MESSAGE"])) for entry in entries]
        return [message for pid, message in reported if not (pid == "1" and "for control group" in message)]

    def until_status(self, words: str, bound: float) -> None:
        """Until the line of ``systemctl status`` holds these words."""
        until(lambda: words in self.status_text(), bound)

    def until_answers(self, bound: float) -> None:
        """Until ``/api/version`` is answered on the network."""
        until(lambda: self.ask("/api/version", seconds=5).status == 200, bound)


class Answer:
    """What curl brought."""

    def __init__(self, returncode: int, output: str) -> None:
        text, _, status = output.rpartition("\n")
        self.status = int(status) if returncode == 0 else 0
        """HTTP status; 0 when the connection failed."""
        self.text = text

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.text)

    def __repr__(self) -> str:
        return f"{self.status} {self.text[:500]}"


def documented(heading: str) -> list[str]:
    """The commands that a section of docs/service.md tells an administrator to type, as root types them."""
    _, _, section = (_TOP / "docs/service.md").read_text().partition(f"\n## {heading}\n")
    typed = [line.removeprefix("$ ") for line in section.partition("\n## ")[0].splitlines() if line.startswith("$ ")]
    assert typed, f"docs/service.md has no commands under {heading!r}"
    return [line.partition("  #")[0].replace("sudo ", "") for line in typed]


def chat_body(model: str, text: str) -> dict[str, Any]:
    """A request for a whole answer."""
    return {"model": model, "messages": [{"role": "user", "content": text}], "stream": False}


def _curl(server: str, path: str, body: Any, seconds: float) -> list[str]:
    words = ["curl", "--silent", "--no-buffer", "--max-time", str(seconds), "--write-out", "\n%{http_code}"]
    if body is not None:
        words += ["--json", json.dumps(body)]
    return [*words, f"http://{server}:11434{path}"]
