"""publicUrl, and the settings, probes, Ingress and HTTPRoute that follow from it."""

from __future__ import annotations

import json

import pytest

from chart.objects import read_airflow_cfg
from chart.rendering import Object, find_by_prefix, find_object, render, render_errors

INGRESS: Object = {"ingress": {"apiServer": {"enabled": True}}}
ROUTE: Object = {"httpRoute": {"apiServer": {"enabled": True, "parentRefs": [{"name": "public"}]}}}
UNDER_A_PATH = {"publicUrl": "https://data.example.com/tools/airflow/"}


def find_container(values: Object) -> Object:
    """Return the API server's container."""
    (api_server,) = find_object(render(values), "Deployment", "airflow-api-server")["spec"]["template"]["spec"][
        "containers"
    ]
    return dict(api_server)


def list_probe_paths(values: Object) -> dict[str, str]:
    """Return the HTTP path of each probe."""
    return {name: probe["httpGet"]["path"] for name, probe in find_container(values).items() if name.endswith("Probe")}


def read_api_service(values: Object) -> Object:
    published = find_by_prefix(render(values), "ConfigMap", "airflow-contract")["data"]["contract.json"]
    return dict(json.loads(published)["airflow"]["apiService"])


@pytest.mark.parametrize(
    ("url", "base", "path"),
    [
        ("https://data.example.com/tools/airflow/", "https://data.example.com/tools/airflow", "/tools/airflow"),
        ("http://data.example.com:8443/", "http://data.example.com:8443", ""),
        ("https://data.example.com", "https://data.example.com", ""),
    ],
)
def test_links_probes_and_execution_url_follow_public_url(url: str, base: str, path: str) -> None:
    values = {"publicUrl": url}
    assert read_airflow_cfg(values)["api"] == {"base_url": base}
    tasks = f"http://airflow-api-server.airflow.svc:8080{path}/execution/"
    assert read_airflow_cfg(values)["core"]["execution_api_server_url"] == tasks
    assert list_probe_paths(values) == {
        "startupProbe": f"{path}/execution/health",
        "readinessProbe": f"{path}/api/v2/version",
        "livenessProbe": f"{path}/execution/health",
    }
    assert read_api_service(values) == {"name": "airflow-api-server", "port": 8080, "path": path}


def test_default_values_have_no_public_url() -> None:
    assert "api" not in read_airflow_cfg({})
    assert read_api_service({})["path"] == ""
    assert [item["kind"] for item in render({}) if item["kind"] in ("Ingress", "HTTPRoute")] == []


@pytest.mark.parametrize(("scheme", "trusted"), [("https", True), ("http", False)])
def test_api_server_trusts_proxy_headers_only_with_https(scheme: str, trusted: bool) -> None:
    api_server = find_container({"publicUrl": f"{scheme}://data.example.com"})
    assert api_server["args"] == ["airflow", "api-server", *(["--proxy-headers"] if trusted else [])]
    headers = {"name": "FORWARDED_ALLOW_IPS", "value": "*"}
    assert [item for item in api_server["env"] if item["name"] == headers["name"]] == ([headers] if trusted else [])


def test_ingress_routes_to_the_api_server() -> None:
    chosen = {"ingressClassName": "internal", "annotations": {"team": "data"}, "tls": {"secretName": "my-tls"}}
    objects = render({**UNDER_A_PATH, "ingress": {"apiServer": {"enabled": True, **chosen}}})
    service = find_object(objects, "Service", "airflow-api-server")
    backend = {"service": {"name": service["metadata"]["name"], "port": {"name": service["spec"]["ports"][0]["name"]}}}
    assert find_object(objects, "Ingress", "airflow-api-server") == {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {**service["metadata"], "annotations": {"team": "data"}},
        "spec": {
            "ingressClassName": "internal",
            "rules": [
                {
                    "host": "data.example.com",
                    "http": {"paths": [{"path": "/tools/airflow", "pathType": "Prefix", "backend": backend}]},
                }
            ],
            "tls": [{"hosts": ["data.example.com"], "secretName": "my-tls"}],
        },
    }


def test_ingress_over_http_has_no_tls() -> None:
    spec = find_object(render({"publicUrl": "http://data.example.com", **INGRESS}), "Ingress", "airflow-api-server")[
        "spec"
    ]
    assert sorted(spec) == ["rules"]
    assert spec["rules"][0]["http"]["paths"][0]["path"] == "/"


@pytest.mark.parametrize(("route", "kind"), [(INGRESS, "Ingress"), (ROUTE, "HTTPRoute")])
def test_upper_case_host_becomes_lower_case(route: Object, kind: str) -> None:
    spec = find_object(render({"publicUrl": "https://Data.Example.com", **route}), kind, "airflow-api-server")["spec"]
    hosts = spec.get("hostnames") or [rule["host"] for rule in spec["rules"]]
    assert hosts == ["data.example.com"]


@pytest.mark.parametrize(
    ("url", "path"), [("https://data.example.com", ""), (UNDER_A_PATH["publicUrl"], "/tools/airflow")]
)
def test_http_route_excludes_the_execution_api(url: str, path: str) -> None:
    objects = render({"publicUrl": url, **ROUTE})
    service = find_object(objects, "Service", "airflow-api-server")

    def match_prefix(prefix: str) -> Object:
        return {"matches": [{"path": {"type": "PathPrefix", "value": prefix}}]}

    backend = {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    assert find_object(objects, "HTTPRoute", "airflow-api-server") == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": service["metadata"],
        "spec": {
            "parentRefs": [{"name": "public"}],
            "hostnames": ["data.example.com"],
            "rules": [match_prefix(f"{path}/execution"), {**match_prefix(path or "/"), "backendRefs": [backend]}],
        },
    }


@pytest.mark.parametrize(("values", "name"), [(INGRESS, "ingress"), (ROUTE, "httpRoute")])
def test_ingress_or_route_without_public_url_is_refused(values: Object, name: str) -> None:
    assert render_errors(values) == [
        f"ERROR: {name}.apiServer.enabled is true: publicUrl is empty, so the host is unknown. Set publicUrl."
    ]


def test_http_route_without_a_gateway_is_refused() -> None:
    assert render_errors({**UNDER_A_PATH, "httpRoute": {"apiServer": {"enabled": True}}}) == [
        "ERROR: httpRoute.apiServer.enabled is true: httpRoute.apiServer.parentRefs is empty, so no Gateway would use "
        "the route. Name a Gateway, as in an HTTPRoute."
    ]


def test_base_url_in_config_is_refused() -> None:
    assert render_errors({"config": {"api": {"base_url": "https://data.example.com/airflow"}}}) == [
        "ERROR: config.api.base_url is https://data.example.com/airflow: probes and the URL of the execution API would "
        "not follow it. Set publicUrl instead."
    ]


@pytest.mark.parametrize("url", ["data.example.com", "ftp://data.example.com", "https://me:pass@data.example.com"])
def test_invalid_public_url_is_refused(url: str) -> None:
    (message,) = render_errors({"publicUrl": url})
    assert message.startswith(f"- at '/publicUrl': '{url}' does not match pattern")
