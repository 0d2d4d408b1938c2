"""Metrics by value: what is sent where, who may take it, and what people are woken for."""

from __future__ import annotations

import configparser
import json
import re
from importlib import resources

import pytest
import yaml

from chart.rendering import ROOT, Object, find_object, pods_by_component, render, render_errors

ON: Object = {"statsd": {"enabled": True}}
WATCHED: Object = {**ON, "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True}}
NAME = "airflow-statsd"


def settings(values: Object) -> dict[str, str]:
    """Airflow's settings about metrics."""
    parser = configparser.ConfigParser()
    parser.read_string(find_object(render(values), "ConfigMap", "airflow-config")["data"]["airflow.cfg"])
    return dict(parser["metrics"]) if parser.has_section("metrics") else {}


def alerts(values: Object = WATCHED) -> dict[str, Object]:
    """The alerts by name."""
    (group,) = find_object(render(values), "PrometheusRule", "airflow-alerts")["spec"]["groups"]
    return {alert["alert"]: alert for alert in group["rules"]}


def sent() -> set[str]:
    """Every metric that Airflow knows, by its name in Prometheus; jobs are those of the chart."""
    registry = resources.files("airflow._shared.observability.metrics") / "metrics_template.yaml"
    names = [
        metric["name"].replace("{job_name}", "scheduler") for metric in yaml.safe_load(registry.read_text())["metrics"]
    ]
    return {"airflow_" + re.sub(r"[^a-zA-Z0-9_]", "_", name) for name in names}


def asked(text: str) -> set[str]:
    """The metrics that queries ask for, a timer's sum and count by the timer's name."""
    return {re.sub(r"_(sum|count)$", "", name) for name in re.findall(r"\bairflow_\w+", text)}


def test_without_a_word_there_are_none() -> None:
    assert settings({}) == {}
    assert "statsd" not in pods_by_component(render({}))


def test_airflow_sends_them_with_tags_to_the_exporter_of_the_release() -> None:
    assert settings(ON) == {
        "statsd_on": "True",
        "statsd_host": f"{NAME}.airflow.svc",
        "statsd_port": "9125",
        "statsd_influxdb_enabled": "True",
        "legacy_names_on": "False",
    }


def test_another_receiver_is_a_matter_of_settings() -> None:
    elsewhere = {"config": {"metrics": {"otel_on": "True", "otel_host": "collector.monitoring.svc", "otel_port": 4318}}}
    assert settings(elsewhere) == {"otel_on": "True", "otel_host": "collector.monitoring.svc", "otel_port": "4318"}


def test_the_exporter_gives_prometheus_what_the_service_monitor_says() -> None:
    objects = render(WATCHED)
    monitor = find_object(objects, "ServiceMonitor", NAME)["spec"]
    service = find_object(objects, "Service", NAME)
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    (container,) = pods_by_component(objects)["statsd"]["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"statsd": 9125, "metrics": 9102}
    assert endpoint["metricRelabelings"] == [
        {"sourceLabels": ["pool_name"], "regex": "team-(.+)", "targetLabel": "team"}
    ]


def test_airflow_alone_sends_and_anybody_may_take() -> None:
    own = {"app.kubernetes.io/name": "kpo-platform", "app.kubernetes.io/instance": "airflow"}
    assert find_object(render(ON), "NetworkPolicy", NAME)["spec"]["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": own}}], "ports": [{"port": "statsd", "protocol": "UDP"}]},
        {"ports": [{"port": "metrics"}]},
    ]


def test_every_alert_has_its_lines_in_the_runbook() -> None:
    text = (ROOT / "docs" / "runbook.md").read_text()
    sections = re.findall(r"^## (\w+)\n(?=\S)", text, re.MULTILINE)
    assert sections == list(alerts())
    links = {name: alert["annotations"]["runbook_url"] for name, alert in alerts().items()}
    assert links == {name: f"docs/runbook.md#{name.lower()}" for name in sections}


def test_alerts_are_this_release_s_and_ask_for_what_airflow_sends() -> None:
    for name, alert in alerts().items():
        selectors = re.findall(r"\w\{([^}]*)\}", alert["expr"])
        assert selectors, name
        assert all(one.startswith('namespace="airflow", service="airflow-statsd"') for one in selectors), name
        assert asked(alert["expr"]) <= sent(), name
        assert alert["labels"]["severity"] in ("critical", "warning")


def test_the_dashboard_asks_for_what_airflow_sends() -> None:
    board = json.loads((ROOT / "docs" / "grafana" / "airflow.json").read_text())
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    assert queries
    assert asked(" ".join(queries)) <= sent()
    assert all('namespace="$namespace"' in query for query in queries)


@pytest.mark.parametrize("name", ["serviceMonitor", "prometheusRule"])
def test_what_would_watch_nothing_is_refused(name: str) -> None:
    assert render_errors({name: {"enabled": True}}) == [
        f"ERROR: {name}.enabled is true, but there are no metrics; set statsd.enabled (with the chart's own Airflow), "
        "or leave it out."
    ]
