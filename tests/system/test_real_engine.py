"""Real vLLM inside the unit's own sandbox, with torch.compile on, serving our small model to the network."""

from __future__ import annotations

import pytest

from tests.system.bounds import within
from tests.system.real_engine import RealEngine
from tests.system.service import InstalledService

CONFIG = """\
server: {host: 0.0.0.0}
preload: [tinychat]
models:
  tinychat:
    source: builtin:tinychat
    settings: {enforce_eager: false, eager_below: 0}
"""


@pytest.mark.timeout(800, func_only=True)
def test_real_vllm_serves_and_stops_in_the_sandbox(service: InstalledService, real_engine: RealEngine | None):
    if real_engine is None:
        pytest.fail("no vLLM engine is installed on this machine: make engine")
    real = service
    real_engine.lay_out(real.lab)
    real.write_config(CONFIG)
    since = real.lab.run("date", "+%F %T").stdout.strip()
    with within(600, "real vLLM, compiled inside the sandbox with cold caches, is ready"):
        real.lab.run("systemctl", "start", "vllama", timeout=700)
    assert real.status_text() == "serving 1 model: tinychat"
    with within(20, "real vLLM answers a client of the network"):
        answer = real.chat("tinychat", "What is the capital of France?")
    assert answer.status == 200
    assert "Paris" in answer.json["message"]["content"]
    compiled = real.lab.run("find", "/var/cache/vllama", "-name", "*.so").stdout
    assert compiled, "nothing was compiled"
    assert real.complaints(since) == []
    with within(15, "a stop of the service with real vLLM, nothing left"):
        real.control("stop")
    assert real.processes() == []
    assert real.value("Result") == "success"
