"""The dashboard and the rules in the repository are what their script makes, and hang together."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from vllama.observe.collectors import _PHASES

MONITORING = Path(__file__).parents[3] / "packaging" / "monitoring"
MADE = ("grafana/vllama.json", "prometheus/vllama-recordings.yml", "prometheus/vllama-alerts.yml")


def dashboard() -> Any:
    return json.loads((MONITORING / MADE[0]).read_text())


def test_the_files_are_what_the_script_makes(tmp_path: Path):
    subprocess.run([sys.executable, MONITORING / "make.py", tmp_path], check=True, timeout=60)
    for name in MADE:
        assert (MONITORING / name).read_text() == (tmp_path / name).read_text(), "run packaging/monitoring/make.py"


def test_no_panel_lies_on_another_and_none_has_the_number_of_another():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set[tuple[int, int]]()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells


def test_every_panel_uses_the_chosen_data_source_and_service():
    panels = [panel for panel in dashboard()["panels"] if panel["type"] != "row"]
    assert len(panels) > 20
    for panel in panels:
        assert panel["datasource"]["uid"] == "${datasource}", panel["title"]
        for target in panel["targets"]:
            assert '{instance=~"$instance"' in target["expr"], panel["title"]


def test_the_dashboard_knows_every_phase_of_an_engine():
    (panel,) = (panel for panel in dashboard()["panels"] if panel["title"] == "Phases")
    options = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
    assert {option["text"] for option in options.values()} == {"absent", *_PHASES}


def test_the_examples_name_the_files_that_the_package_installs():
    spec = (MONITORING.parent / "rpm" / "vllama.spec").read_text()
    assert "packaging/monitoring" in spec
    config = yaml.safe_load((MONITORING / "prometheus" / "prometheus.yml").read_text())
    installed = "/usr/share/vllama/monitoring/"
    assert config["rule_files"] == [f"{installed}{name}" for name in MADE[1:]]
    provider = yaml.safe_load((MONITORING / "grafana" / "dashboards.yaml").read_text())
    assert provider["providers"][0]["options"]["path"] == f"{installed}grafana"
