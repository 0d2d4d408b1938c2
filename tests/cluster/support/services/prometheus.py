"""A Prometheus on the cluster with the chart's ServiceMonitor settings and alerts."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml

from chart.rendering import Object, find_object, render
from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, RELEASE, Stack

PROMETHEUS_NAMESPACE = "prometheus"
MONITORING_VALUES: Object = {
    "statsd": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
}


def alert_groups() -> list[Object]:
    """Return the chart's alert groups in Prometheus' format."""
    alerts: list[Object] = find_object(render(MONITORING_VALUES), "PrometheusRule", f"{RELEASE}-alerts")["spec"][
        "groups"
    ]
    return alerts


def _relabelings() -> list[Object]:
    """Return the ServiceMonitor's relabelings in Prometheus' format."""
    (endpoint,) = find_object(render(MONITORING_VALUES), "ServiceMonitor", f"{RELEASE}-statsd")["spec"]["endpoints"]
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label", "regex": "regex"}
    return [{names[key]: value for key, value in rule.items()} for rule in endpoint["metricRelabelings"]]


def _config(target: str) -> Object:
    service = f"{RELEASE}-statsd"
    job = {
        "job_name": service,
        "static_configs": [{"targets": [target], "labels": {"namespace": NAMESPACE, "service": service}}],
        "metric_relabel_configs": _relabelings(),
    }
    intervals = {"scrape_interval": "5s", "evaluation_interval": "5s"}
    return {"global": intervals, "scrape_configs": [job], "rule_files": ["/etc/prometheus-test/alerts.json"]}


def _pod() -> Object:
    files = "/etc/prometheus-test"
    container = {
        "name": "prometheus",
        "image": "localhost/kpo-platform/prometheus:12",
        "args": [f"--config.file={files}/prometheus.json", "--storage.tsdb.path=/data"],
        "readinessProbe": {"httpGet": {"path": "/-/ready", "port": 9090}, "periodSeconds": 1},
        "volumeMounts": [{"name": "config", "mountPath": files}, {"name": "data", "mountPath": "/data"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "prometheus"}}, {"name": "data", "emptyDir": {}}]
    metadata = {"name": "prometheus", "labels": {"app.kubernetes.io/name": "prometheus"}}
    spec = {"containers": [container], "volumes": volumes, "securityContext": {"fsGroup": 65534}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _service() -> Object:
    spec = {"selector": {"app.kubernetes.io/name": "prometheus"}, "ports": [{"port": 9090}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "prometheus"}, "spec": spec}


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    stack: Stack
    address: str

    def get(self, path: str, **query: str) -> Any:
        """GET a path of its API."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as reply:
            return json.loads(reply.read())["data"]

    def query_values(self, query: str, label: str = "") -> dict[str, float]:
        """Return the current values of a query by a label."""
        series_list = self.get("query", query=query)["result"]
        return {series["metric"].get(label, ""): float(series["value"][1]) for series in series_list}

    def wait_for_values(self, query: str, label: str = "", deadline_s: float = 120) -> dict[str, float]:
        """Wait until a query returns values, and return them."""

        def probe() -> dict[str, float]:
            if values := self.query_values(query, label):
                return values
            raise NotYet(f"the targets are {[target['health'] for target in self.get('targets')['activeTargets']]}")

        return wait_for(f"Prometheus to return values of {query}", probe, deadline_s, interval_s=2)

    def read_alerts(self) -> dict[str, Any]:
        """Return the evaluated alerts by name."""
        return {rule["name"]: rule for group in self.get("rules")["groups"] for rule in group["rules"]}

    def run_promtool(self, tests: Object) -> str:
        """Test the alerts with `promtool test rules`; return its errors, or an empty string."""
        script = "cat > /data/tests.json && promtool test rules /data/tests.json 2>&1 || true"
        text = json.dumps({**tests, "rule_files": ["/etc/prometheus-test/alerts.json"]})
        output = self.stack.kubectl(
            "exec", "-i", "-n", PROMETHEUS_NAMESPACE, "prometheus", "--", "sh", "-c", script, stdin=text
        )
        return "" if output.strip().endswith("SUCCESS") else output


@contextmanager
def run_prometheus(stack: Stack) -> Iterator[Prometheus]:
    """Run a Prometheus during the block."""
    files = {
        "prometheus.json": json.dumps(_config(stack.service_address(f"{RELEASE}-statsd"))),
        "alerts.json": yaml.safe_dump({"groups": alert_groups()}),
    }
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prometheus"}, "data": files}
    try:
        stack.kubectl("create", "namespace", PROMETHEUS_NAMESPACE)
        for item in (config, _pod(), _service()):
            stack.kubectl("create", "-n", PROMETHEUS_NAMESPACE, "-f", "-", stdin=json.dumps(item))
        stack.kubectl(
            "wait",
            "-n",
            PROMETHEUS_NAMESPACE,
            "pod/prometheus",
            "--for=condition=Ready",
            "--timeout=120s",
            timeout_s=130,
        )
        yield Prometheus(stack, stack.service_address("prometheus", PROMETHEUS_NAMESPACE))
    finally:
        stack.kubectl("delete", "namespace", PROMETHEUS_NAMESPACE, "--ignore-not-found", timeout_s=120)
