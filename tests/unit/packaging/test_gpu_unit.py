"""vllama-gpu.service makes a node for every card, not for the first one only."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

UNIT = (Path(__file__).parents[3] / "packaging" / "systemd" / "vllama-gpu.service").read_text()


def test_every_card_that_the_driver_lists_gets_its_node(tmp_path: Path) -> None:
    for number, minor in enumerate((0, 1, 3)):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
        (tmp_path / f"0000:0{number}:00.0" / "information").write_text(
            f"Model: \t\t NVIDIA H200\nIRQ:   \t\t 12{number}\nDevice Minor: \t {minor}\nGPU Excluded:\t No\n"
        )
    (line,) = re.findall(r"^ExecStart=-(/bin/sh .*)$", UNIT, re.MULTILINE)
    line = line.replace("/proc/driver/nvidia/gpus", str(tmp_path)).replace("/usr/bin/nvidia-modprobe", "echo")
    done = subprocess.run(shlex.split(line.replace("$$", "$")), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["-c 0", "-c 1", "-c 3"]
