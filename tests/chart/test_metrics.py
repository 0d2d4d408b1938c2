"""Metrics: StatsD settings, exporter, alerts and dashboard."""

from __future__ import annotations

import configparser
import json
import re
from importlib import resources

import pytest
import yaml

from chart.rendering import ROOT, Object, find_object, map_pods_by_component, render, render_errors

ON: Object = {"statsd": {"enabled": True}}
MONITORED: Object = {**ON, "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
NAME = "airflow-statsd"


def read_settings(values: Object) -> dict[str, str]:
    """Return Airflow's settings of the section metrics."""
    parser = configparser.ConfigParser()
    parser.read_string(find_object(render(values), "ConfigMap", "airflow-config")["data"]["airflow.cfg"])
    return dict(parser["metrics"]) if parser.has_section("metrics") else {}


def read_alerts(values: Object = MONITORED) -> dict[str, Object]:
    """Return the alerts by name."""
    (group,) = find_object(render(values), "PrometheusRule", "airflow-alerts")["spec"]["groups"]
    return {alert["alert"]: alert for alert in group["rules"]}


def list_airflow_metrics() -> set[str]:
    """Return the Prometheus names of all metrics that Airflow can send; the only job name is scheduler."""
    registry = resources.files("airflow._shared.observability.metrics") / "metrics_template.yaml"
    names = [
        metric["name"].replace("{job_name}", "scheduler") for metric in yaml.safe_load(registry.read_text())["metrics"]
    ]
    return {"airflow_" + re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names}


def list_platform_metrics() -> set[str]:
    """Return the metrics of the platform on the page; group `metrics` checks that they are sent."""
    text = (ROOT / "docs" / "metrics.md").read_text()
    return set(re.findall(r"^\| `(airflow_kpo_platform_\w+)` \|", text, re.MULTILINE))


def list_queried_metrics(text: str) -> set[str]:
    """Return the metrics in PromQL queries; a timer's sum and count count as the timer."""
    return {re.sub(r"_(sum|count)$", "", name) for name in re.findall(r"\bairflow_\w+", text)}


def test_metrics_are_disabled_by_default() -> None:
    assert read_settings({}) == {}
    assert "statsd" not in map_pods_by_component(render({}))


def test_enabled_statsd_sends_tagged_metrics_to_the_exporter() -> None:
    assert read_settings(ON) == {
        "statsd_on": "True",
        "statsd_host": f"{NAME}.airflow.svc",
        "statsd_port": "9125",
        "statsd_influxdb_enabled": "True",
        "legacy_names_on": "False",
    }


def test_opentelemetry_is_configured_by_config_alone() -> None:
    elsewhere = {"config": {"metrics": {"otel_on": "True", "otel_host": "collector.monitoring.svc", "otel_port": 4318}}}
    assert read_settings(elsewhere) == {"otel_on": "True", "otel_host": "collector.monitoring.svc", "otel_port": "4318"}


def test_service_monitor_matches_the_exporter() -> None:
    objects = render(MONITORED)
    monitor = find_object(objects, "ServiceMonitor", NAME)["spec"]
    service = find_object(objects, "Service", NAME)
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    (container,) = map_pods_by_component(objects)["statsd"]["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"statsd": 9125, "metrics": 9102}
    assert endpoint["metricRelabelings"] == [
        {"sourceLabels": ["pool_name"], "regex": "team-(.+)", "targetLabel": "team"}
    ]


def test_exporter_accepts_metrics_from_the_release_only() -> None:
    own = {"app.kubernetes.io/name": "kpo-platform", "app.kubernetes.io/instance": "airflow"}
    assert find_object(render(ON), "NetworkPolicy", NAME)["spec"]["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": own}}], "ports": [{"port": "statsd", "protocol": "UDP"}]},
        {"ports": [{"port": "metrics"}]},
    ]


def test_every_alert_has_a_section_in_the_runbook() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.findall(r"^## (\w+)\n(?=\S)", text, re.MULTILINE)
    assert sections == list(read_alerts())
    links = {name: alert["annotations"]["runbook_url"] for name, alert in read_alerts().items()}
    assert links == {name: f"docs/runbook.md#{name.lower()}" for name in sections}


def test_alerts_select_this_release_and_known_metrics() -> None:
    for name, alert in read_alerts().items():
        selectors = re.findall(r"\w\{([^}]*)\}", alert["expr"])
        assert selectors, name
        assert all(labels.startswith('namespace="airflow", service="airflow-statsd"') for labels in selectors), name
        assert list_queried_metrics(alert["expr"]) <= list_airflow_metrics() | list_platform_metrics(), name
        assert alert["labels"]["severity"] in ("critical", "warning")


def test_dashboard_queries_known_metrics() -> None:
    board = json.loads((ROOT / "docs" / "grafana" / "airflow.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert queries
    assert list_queried_metrics(" ".join(queries)) <= list_airflow_metrics()
    assert all('namespace="$namespace"' in query for query in queries)


@pytest.mark.parametrize("name", ["serviceMonitor", "prometheusRule"])
def test_monitoring_without_metrics_is_refused(name: str) -> None:
    assert render_errors({name: {"enabled": True}}) == [
        f"ERROR: {name}.enabled is true: the StatsD exporter is not installed. Set statsd.enabled, which requires "
        f"airflow.enabled, or set {name}.enabled to false."
    ]
