"""The shipped Grafana dashboard as a value: ``make.py`` writes it as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from panels import ROWS
from parts import ON, PHASES, Panel

_SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
_WIDTH: Final = 24


def dashboard() -> dict[str, Any]:
    """What Grafana imports."""
    return {
        "uid": "vllama",
        "title": "vLLama",
        "description": "Models, speed, promises and the machine of one or more vLLama services.",
        "tags": ["vllama", "vllm"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": list(_variables())},
        "annotations": {"list": []},
        "panels": list(_placed()),
    }


def _variables() -> Iterator[Mapping[str, Any]]:
    yield {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    yield _variable("instance", "Service", "label_values(vllama_requests_in_flight, instance)")
    yield _variable("model", "Model", f"label_values(vllama_engine_state{{{ON}}}, model)")


def _variable(name: str, label: str, query: str) -> Mapping[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "includeAll": True,
        "allValue": ".*",
        "multi": True,
        "current": {"text": ["All"], "value": ["$__all"]},
        "refresh": 2,
        "sort": 1,
    }


def _placed() -> Iterator[Mapping[str, Any]]:
    """Rows below each other, panels from left to right."""
    top = number = 0
    for row in ROWS:
        number += 1
        yield {
            "id": number, "type": "row", "title": row.title, "collapsed": False, "panels": [],
            "gridPos": {"x": 0, "y": top, "w": _WIDTH, "h": 1},
        }  # fmt: skip
        top, left, height = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > _WIDTH:
                top, left = top + height, 0
            height = 4 if panel.kind == "stat" else 6 if panel.kind == "state-timeline" else 8
            number += 1
            yield _drawn(panel, number, {"x": left, "y": top, "w": panel.width, "h": height})
            left += panel.width
        top += height


def _drawn(panel: Panel, number: int, place: Mapping[str, int]) -> Mapping[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.steps or ((None, "blue"),)]
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.unit == "percentunit":
        defaults["min"] = 0
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.kind == "state-timeline":
        options = {str(number): {"text": phase, "index": number} for phase, number in PHASES.items()}
        defaults["mappings"] = [{"type": "value", "options": options}]
    if panel.kind == "timeseries":
        stacking = {"mode": "normal" if panel.stacked else "none"}
        defaults["custom"] = {"fillOpacity": 20 if panel.stacked else 0, "stacking": stacking, "showPoints": "never"}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "gridPos": dict(place),
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": _SOURCE,
                "expr": query.expression,
                "legendFormat": query.legend,
            }
            for place, query in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> Mapping[str, Any]:
    latest = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.kind == "stat":
        return {"reduceOptions": latest, "colorMode": "value", "graphMode": "area"}
    if panel.kind == "bargauge":
        return {"reduceOptions": latest, "orientation": "horizontal", "displayMode": "lcd"}
    if panel.kind == "state-timeline":
        return {"mergeValues": True, "showValue": "auto", "legend": {"showLegend": False}}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}
