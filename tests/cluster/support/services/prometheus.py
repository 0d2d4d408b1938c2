"""A real Prometheus on the cluster, which takes the metrics as the chart's ServiceMonitor says and has its alerts."""

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

SPACE = "prometheus"
WATCHED: Object = {
    "statsd": {"enabled": True},
    "serviceMonitor": {"enabled": True},
    "prometheusRule": {"enabled": True},
}


def groups() -> list[Object]:
    """The chart's alerts as Prometheus reads them."""
    found: list[Object] = find_object(render(WATCHED), "PrometheusRule", f"{RELEASE}-alerts")["spec"]["groups"]
    return found


def _relabelings() -> list[Object]:
    """What the ServiceMonitor says about labels, in Prometheus' own spelling."""
    (endpoint,) = find_object(render(WATCHED), "ServiceMonitor", f"{RELEASE}-statsd")["spec"]["endpoints"]
    names = {"sourceLabels": "source_labels", "targetLabel": "target_label", "regex": "regex"}
    return [{names[key]: value for key, value in rule.items()} for rule in endpoint["metricRelabelings"]]


def _config(target: str) -> Object:
    service = f"{RELEASE}-statsd"
    job = {
        "job_name": service,
        "static_configs": [{"targets": [target], "labels": {"namespace": NAMESPACE, "service": service}}],
        "metric_relabel_configs": _relabelings(),
    }
    pace = {"scrape_interval": "5s", "evaluation_interval": "5s"}
    return {"global": pace, "scrape_configs": [job], "rule_files": ["/etc/prometheus-test/alerts.json"]}


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

    def api(self, path: str, **query: str) -> Any:
        """What its API answers to a GET."""
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=30) as reply:
            return json.loads(reply.read())["data"]

    def values(self, query: str, label: str = "") -> dict[str, float]:
        """The answer to a query as of now: value of the label → value."""
        found = self.api("query", query=query)["result"]
        return {series["metric"].get(label, ""): float(series["value"][1]) for series in found}

    def wait_for(self, query: str, label: str = "", deadline_s: float = 120) -> dict[str, float]:
        """Wait until a query has an answer, and give it."""

        def probe() -> dict[str, float]:
            if found := self.values(query, label):
                return found
            raise NotYet(f"the targets are {[target['health'] for target in self.api('targets')['activeTargets']]}")

        return wait_for(f"Prometheus to answer {query}", probe, deadline_s, interval_s=2)

    def alerts(self) -> dict[str, Any]:
        """The alerts by name, as Prometheus has evaluated them."""
        return {rule["name"]: rule for group in self.api("rules")["groups"] for rule in group["rules"]}

    def promtool_test(self, tests: Object) -> str:
        """Hold the alerts against made-up series, by `promtool test rules`; gives what it found, empty for nothing."""
        script = "cat > /data/tests.json && promtool test rules /data/tests.json 2>&1 || true"
        text = json.dumps({**tests, "rule_files": ["/etc/prometheus-test/alerts.json"]})
        said = self.stack.kubectl("exec", "-i", "-n", SPACE, "prometheus", "--", "sh", "-c", script, stdin=text)
        return "" if said.strip().endswith("SUCCESS") else said


@contextmanager
def running(stack: Stack) -> Iterator[Prometheus]:
    """Run a Prometheus while the block lasts."""
    files = {
        "prometheus.json": json.dumps(_config(stack.service_address(f"{RELEASE}-statsd"))),
        "alerts.json": yaml.safe_dump({"groups": groups()}),
    }
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "prometheus"}, "data": files}
    try:
        stack.kubectl("create", "namespace", SPACE)
        for item in (config, _pod(), _service()):
            stack.kubectl("create", "-n", SPACE, "-f", "-", stdin=json.dumps(item))
        stack.kubectl("wait", "-n", SPACE, "pod/prometheus", "--for=condition=Ready", "--timeout=120s", timeout_s=130)
        yield Prometheus(stack, stack.service_address("prometheus", SPACE))
    finally:
        stack.kubectl("delete", "namespace", SPACE, "--ignore-not-found", timeout_s=120)
