"""Recording and alert rules for Prometheus, of each objective, in the names that sloth's dashboards read. Pure.

Two alerts each: ``page`` wakes someone, ``ticket`` can wait for the morning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import yaml

from vllama.config.promises import written_share, written_time
from vllama.observe.slo import ALERTS, BURN_WINDOWS, SEVERITIES, Objective

_SERVICE: Final = "vllama"
_DAY: Final = 86400.0
_KEYS: Final = "sloth_id, sloth_slo, sloth_service"
_HEADER: Final = (
    "# Made by 'vllama slo rules' from the slos of the configuration; make it again when they change.\n"
    "# promtool check rules FILE checks it, rule_files in prometheus.yml names it.\n"
)


def rules_text(objectives: Iterable[Objective]) -> str:
    """A file of rules as YAML."""
    groups = [group for one in objectives for group in _groups(one)]
    return _HEADER + yaml.safe_dump({"groups": groups}, sort_keys=False, width=1 << 20, allow_unicode=True)


def _groups(one: Objective) -> Iterator[Mapping[str, Any]]:
    name = f"{one.name}-{one.kind}"
    labels = {"sloth_id": f"{_SERVICE}-{name}", "sloth_service": _SERVICE, "sloth_slo": name}
    yield {"name": f"sloth-slo-sli-recordings-{_SERVICE}-{name}", "rules": list(_errors(one, labels))}
    yield {"name": f"sloth-slo-meta-recordings-{_SERVICE}-{name}", "rules": list(_meta(one, labels))}
    yield {"name": f"sloth-slo-alerts-{_SERVICE}-{name}", "rules": list(_alerts(one, labels))}


def _errors(one: Objective, labels: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    chosen = f'{{slo="{one.name}",objective="{one.kind}"}}'
    for window in dict.fromkeys((*BURN_WINDOWS, _period(one))):
        bad = f"sum(rate(vllama_slo_bad_requests_total{chosen}[{window}]))"
        counted = f"sum(rate(vllama_slo_requests_total{chosen}[{window}]))"
        yield {
            "record": f"slo:sli_error:ratio_rate{window}",
            "expr": f"{bad} / ({counted} > 0)",
            "labels": {**labels, "sloth_window": window},
        }


def _meta(one: Objective, labels: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    chosen = _chosen(labels)
    budget = f"/ on ({_KEYS}) group_left slo:error_budget:ratio{chosen}"
    yield _record("slo:objective:ratio", f"vector({one.target:.10g})", labels)
    yield _record("slo:error_budget:ratio", f"vector({one.budget:.10g})", labels)
    yield _record("slo:time_period:days", f"vector({one.over / _DAY:g})", labels)
    yield _record("slo:current_burn_rate:ratio", f"slo:sli_error:ratio_rate5m{chosen} {budget}", labels)
    yield _record("slo:period_burn_rate:ratio", f"slo:sli_error:ratio_rate{_period(one)}{chosen} {budget}", labels)
    left = f"1 - slo:period_burn_rate:ratio{chosen}"
    yield _record("slo:period_error_budget_remaining:ratio", left, labels)
    info = {"sloth_mode": "vllama", "sloth_objective": f"{one.target * 100:.10g}", "sloth_spec": "prometheus/v1"}
    yield _record("sloth_slo_info", "vector(1)", {**labels, **info})


def _alerts(one: Objective, labels: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
    chosen = _chosen(labels)
    for severity in SEVERITIES:
        pairs = [
            " and ".join(
                f"max(slo:sli_error:ratio_rate{window}{chosen} > ({alert.factor(one):g} * {one.budget:.10g})) "
                "without (sloth_window)"
                for window in (alert.short, alert.long)
            )
            for alert in ALERTS
            if alert.severity == severity
        ]
        yield {
            "alert": "VllamaSloTtft" if one.kind == "ttft" else "VllamaSloSuccess",
            "expr": " or ".join(f"({pair})" for pair in pairs),
            "labels": {"sloth_severity": severity, "severity": "critical" if severity == "page" else "warning"},
            "annotations": {
                "summary": f"{one.name}: {_promise(one)} is at risk",
                "description": "The error budget burns too fast: {{ $value | humanizePercentage }} of the requests are "
                "bad. 'vllama slo' shows what is left of it.",
            },
        }


def _promise(one: Objective) -> str:
    if one.threshold is None:
        return f"success of {written_share(one.target)}"
    return f"a first token within {written_time(one.threshold)} at {written_share(one.target)}"


def _record(name: str, expression: str, labels: Mapping[str, str]) -> Mapping[str, Any]:
    return {"record": name, "expr": expression, "labels": dict(labels)}


def _chosen(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def _period(one: Objective) -> str:
    return f"{one.over / _DAY:g}d"
