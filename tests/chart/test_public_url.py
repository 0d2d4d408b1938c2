"""The one address at which people reach Airflow, and all that follows from it."""

from __future__ import annotations

import json

import pytest

from chart.rendering import Object, find_by_prefix, find_object, render, render_errors
from chart.test_airflow import settings

INGRESS: Object = {"ingress": {"apiServer": {"enabled": True}}}
ROUTE: Object = {"httpRoute": {"apiServer": {"enabled": True, "parentRefs": [{"name": "public"}]}}}
AT_THE_ROOT = {"publicUrl": "https://data.example.com"}
UNDER_A_PATH = {"publicUrl": "https://data.example.com/tools/airflow/"}


def container(values: Object) -> Object:
    """The API server's container."""
    (found,) = find_object(render(values), "Deployment", "airflow-api-server")["spec"]["template"]["spec"]["containers"]
    return dict(found)


def probed(values: Object) -> dict[str, str]:
    """The paths that the kubelet asks: probe → path."""
    return {name: probe["httpGet"]["path"] for name, probe in container(values).items() if name.endswith("Probe")}


def service_of_the_contract(values: Object) -> Object:
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
def test_links_probes_and_the_tasks_way_follow_the_public_address(url: str, base: str, path: str) -> None:
    values = {"publicUrl": url}
    assert settings(values)["api"] == {"base_url": base}
    tasks = f"http://airflow-api-server.airflow.svc:8080{path}/execution/"
    assert settings(values)["core"]["execution_api_server_url"] == tasks
    assert probed(values) == {
        "startupProbe": f"{path}/execution/health",
        "readinessProbe": f"{path}/api/v2/version",
        "livenessProbe": f"{path}/execution/health",
    }
    assert service_of_the_contract(values) == {"name": "airflow-api-server", "port": 8080, "path": path}


def test_without_a_public_address_nothing_speaks_of_one() -> None:
    assert "api" not in settings({})
    assert service_of_the_contract({})["path"] == ""
    assert [item["kind"] for item in render({}) if item["kind"] in ("Ingress", "HTTPRoute")] == []


@pytest.mark.parametrize(("scheme", "told"), [("https", True), ("http", False)])
def test_the_api_server_believes_a_proxy_only_where_one_ends_tls(scheme: str, told: bool) -> None:
    found = container({"publicUrl": f"{scheme}://data.example.com"})
    assert found["args"] == ["airflow", "api-server", *(["--proxy-headers"] if told else [])]
    headers = {"name": "FORWARDED_ALLOW_IPS", "value": "*"}
    assert [each for each in found["env"] if each["name"] == headers["name"]] == ([headers] if told else [])


def test_an_ingress_leads_to_the_api_server() -> None:
    chosen = {"ingressClassName": "internal", "annotations": {"team": "data"}, "tls": {"secretName": "our-tls"}}
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
            "tls": [{"hosts": ["data.example.com"], "secretName": "our-tls"}],
        },
    }


def test_an_ingress_without_tls_and_without_choices_has_neither() -> None:
    spec = find_object(render({"publicUrl": "http://data.example.com", **INGRESS}), "Ingress", "airflow-api-server")[
        "spec"
    ]
    assert sorted(spec) == ["rules"]
    assert spec["rules"][0]["http"]["paths"][0]["path"] == "/"


@pytest.mark.parametrize(("way", "kind"), [(INGRESS, "Ingress"), (ROUTE, "HTTPRoute")])
def test_a_host_in_capitals_is_written_as_kubernetes_wants_it(way: Object, kind: str) -> None:
    spec = find_object(render({"publicUrl": "https://Data.Example.com", **way}), kind, "airflow-api-server")["spec"]
    hosts = spec.get("hostnames") or [rule["host"] for rule in spec["rules"]]
    assert hosts == ["data.example.com"]


@pytest.mark.parametrize(
    ("url", "path"), [("https://data.example.com", ""), (UNDER_A_PATH["publicUrl"], "/tools/airflow")]
)
def test_a_route_leads_people_to_the_api_server_but_not_to_where_tasks_report(url: str, path: str) -> None:
    objects = render({"publicUrl": url, **ROUTE})
    service = find_object(objects, "Service", "airflow-api-server")

    def under(prefix: str) -> Object:
        return {"matches": [{"path": {"type": "PathPrefix", "value": prefix}}]}

    backend = {"name": service["metadata"]["name"], "port": service["spec"]["ports"][0]["port"]}
    assert find_object(objects, "HTTPRoute", "airflow-api-server") == {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": service["metadata"],
        "spec": {
            "parentRefs": [{"name": "public"}],
            "hostnames": ["data.example.com"],
            "rules": [under(f"{path}/execution"), {**under(path or "/"), "backendRefs": [backend]}],
        },
    }


@pytest.mark.parametrize(("values", "way"), [(INGRESS, "ingress"), (ROUTE, "httpRoute")])
def test_a_way_in_without_an_address_is_refused(values: Object, way: str) -> None:
    assert render_errors(values) == [
        f"ERROR: {way}.apiServer.enabled is true and publicUrl is empty, so there is no host to lead to Airflow; "
        "set publicUrl."
    ]


def test_a_route_of_no_gateway_is_refused() -> None:
    assert render_errors({**UNDER_A_PATH, "httpRoute": {"apiServer": {"enabled": True}}}) == [
        "ERROR: httpRoute.apiServer.enabled is true and parentRefs names no Gateway, so the route would belong to "
        "none; name one, as in an HTTPRoute."
    ]


def test_the_address_in_airflow_s_own_words_is_refused() -> None:
    assert render_errors({"config": {"api": {"base_url": "https://data.example.com/airflow"}}}) == [
        "ERROR: config.api.base_url is https://data.example.com/airflow, but probes and the address at which tasks "
        "report would not follow it; set publicUrl instead."
    ]


@pytest.mark.parametrize("url", ["data.example.com", "ftp://data.example.com", "https://me:pass@data.example.com"])
def test_what_is_no_address_of_a_web_page_is_refused(url: str) -> None:
    (complaint,) = render_errors({"publicUrl": url})
    assert complaint.startswith(f"- at '/publicUrl': '{url}' does not match pattern")
