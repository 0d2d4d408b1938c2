"""platformctl diagnose -f: pods of a file, before they are created."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
import yaml

from kpo_platform.cli.diagnosis_schema import build_schema
from unit.support.http_server import status
from unit.support.platformctl import Cluster, CommandResult, Platformctl
from unit.support.unscheduled_pods import build_node

Json = dict[str, Any]
NAMESPACE = "/api/v1/namespaces/team-alpha"
NODE = "/api/v1/nodes/near"
CANARY = "canary-7f1c9a52d8e64b0b"
"""The value of a variable and of a Secret, which no output may contain."""

POD: Json = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "report", "namespace": "team-alpha"},
    "spec": {
        "containers": [
            {
                "name": "base",
                "image": "registry.test/job:1",
                "env": [{"name": "A", "value": CANARY}],
                "envFrom": [{"secretRef": {"name": "settings"}}],
            }
        ]
    },
}
SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "settings", "namespace": "team-alpha"},
    "stringData": {"PASSWORD": CANARY},
}
MISSING = '✗ Pod team-alpha/{name}: Secret "settings" does not exist in team-alpha\n'


@pytest.fixture
def diagnose(platformctl: Platformctl, cluster: Cluster, tmp_path: Path) -> Any:
    """Diagnoses documents in a file; the cluster has a node that can take them."""
    cluster.platform.objects[NODE] = build_node("near")

    def run(*documents: Json, more: tuple[str, ...] = ()) -> CommandResult:
        file = tmp_path / "pod.yaml"
        file.write_text(yaml.safe_dump_all(documents))
        return platformctl("diagnose", "-f", str(file), *more, *cluster.options)

    return run


@pytest.fixture
def with_secret(cluster: Cluster) -> None:
    cluster.platform.objects[f"{NAMESPACE}/secrets/settings"] = SECRET


def change(**fields: Any) -> Json:
    """Return the pod with other metadata."""
    metadata = {key: value for key, value in {**POD["metadata"], **fields}.items() if value is not None}
    return {**POD, "metadata": metadata}


def wrap(kind: str, spec: Json) -> Json:
    """Return an object that creates pods."""
    return {"kind": kind, "metadata": {"name": "nightly", "namespace": "team-alpha"}, "spec": spec}


TEMPLATE = {"template": {"metadata": {"labels": {"a": "b"}}, "spec": POD["spec"]}}


@pytest.mark.usefixtures("with_secret")
def test_good_pod_is_green(diagnose: Any, cluster: Cluster):
    result = diagnose(POD)
    assert (result.code, result.out, result.err) == (
        0,
        "✔ Pod team-alpha/report: no problem found\n",
        "0 findings in 1 pod.\n",
    )
    (created,) = (each for each in cluster.server.seen if each.method == "POST")
    assert (created.path.partition("?")[2], created.body) == ("dryRun=All&fieldValidation=Strict", POD)


def test_missing_secret_is_found_before_the_pod_is_created(diagnose: Any):
    result = diagnose(POD)
    assert (result.code, result.out) == (
        1,
        MISSING.format(name="report") + '    seen  containers[base].envFrom refers to Secret "settings"\n'
        "    fix   Correct env_from, or create it (type lines KEY=VALUE and then Ctrl-D):\n"
        "    $     kubectl -n team-alpha create secret generic settings --from-env-file=/dev/stdin\n"
        "    code  KPO-STA101: docs/troubleshooting.md#kpo-sta101\n",
    )


@pytest.mark.usefixtures("diagnose")
def test_pod_comes_from_standard_input(platformctl: Platformctl, cluster: Cluster):
    result = platformctl("diagnose", "-f", "-", *cluster.options, stdin=json.dumps(POD))
    assert (result.code, result.out.splitlines()[0] + "\n") == (1, MISSING.format(name="report"))


@pytest.mark.usefixtures("with_secret")
def test_refusal_of_the_dry_run_has_the_code_of_a_refused_pod(diagnose: Any, cluster: Cluster):
    message = 'pods "report" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2'
    cluster.platform.dry_run = status(403, message)
    result = diagnose(POD, more=("-o", "json"))
    (finding,) = json.loads(result.out)["findings"]
    assert (result.code, finding["code"], finding["evidence"]) == (1, "KPO-ADM101", [f"HTTP 403: {message}"])


@pytest.mark.usefixtures("with_secret")
def test_without_the_right_to_create_pods_the_rest_is_checked(diagnose: Any, cluster: Cluster):
    denied = (
        'pods is forbidden: User "jane" cannot create resource "pods" in API group "" in the namespace "team-alpha"'
    )
    cluster.platform.dry_run = status(403, denied)
    quota = {"metadata": {"name": "q"}, "status": {"hard": {"pods": "1"}, "used": {"pods": "1"}}}
    cluster.platform.objects |= {
        f"{NAMESPACE}/serviceaccounts/default": {"metadata": {"name": "default"}},
        f"{NAMESPACE}/resourcequotas/q": quota,
    }
    result = diagnose(POD)
    assert (result.code, result.out.splitlines()[0], result.out.splitlines()[-1]) == (
        1,
        '✗ Pod team-alpha/report: The quota "q" of team-alpha has no room for the pod: pods 1 of 1 used, and the '
        "pod needs 1 more",
        "? Pod team-alpha/report: could not look at whether the API server accepts the pod: Cannot create pods in "
        f"namespace team-alpha: {denied}. Ask for the rights of rbac/pod-launcher.yaml.",
    )
    del cluster.platform.objects[f"{NAMESPACE}/resourcequotas/q"]
    result = diagnose(POD)
    assert (result.code, result.out.splitlines()[0]) == (3, "? Pod team-alpha/report: no problem found")


@pytest.mark.usefixtures("with_secret")
def test_without_the_right_to_read_nodes_nothing_is_green(diagnose: Any, cluster: Cluster):
    cluster.platform.refused.add("/api/v1/nodes")
    result = diagnose(POD)
    assert (result.code, result.out.splitlines()[0]) == (3, "? Pod team-alpha/report: no problem found")
    assert result.out.splitlines()[-1] == (
        "? Pod team-alpha/report: could not look at Nodes: Cannot list nodes in the cluster: "
        'User "jane" cannot do that. Ask for the rights of rbac/node-reader.yaml.'
    )


@pytest.mark.usefixtures("with_secret")
def test_webhook_without_dry_run_says_nothing_about_the_pod(diagnose: Any, cluster: Cluster):
    cluster.platform.objects[f"{NAMESPACE}/serviceaccounts/default"] = {"metadata": {"name": "default"}}
    cluster.platform.dry_run = status(400, 'admission webhook "inject.test" does not support dry run: true')
    result = diagnose(POD)
    assert (result.code, result.out.splitlines()[-1]) == (
        3,
        "? Pod team-alpha/report: could not look at whether the API server accepts the pod: admission webhook "
        '"inject.test" does not support dry run: true',
    )


def test_every_pod_of_the_file_is_diagnosed(diagnose: Any):
    items = {"apiVersion": "v1", "kind": "List", "items": [change(name="second")]}
    pods = {
        "apiVersion": "v1",
        "kind": "PodList",
        "items": [{k: v for k, v in change(name="third").items() if k != "kind"}],
    }
    job, cron = wrap("Job", TEMPLATE), wrap("CronJob", {"jobTemplate": {"spec": TEMPLATE}})
    deployment = wrap("Deployment", {"replicas": 2, **TEMPLATE})
    result = diagnose(POD, items, pods, job, cron, deployment)
    names = ["report", "second", "third", *["nightly-"] * 3]
    found = [line for line in result.out.splitlines(keepends=True) if line.startswith("✗")]
    assert (found, result.err) == ([MISSING.format(name=name) for name in names], "6 findings in 6 pods.\n")


def test_objects_of_the_file_are_created_with_the_pod(diagnose: Any):
    result = diagnose(SECRET, POD)
    assert (result.code, result.out) == (0, "✔ Pod team-alpha/report: no problem found\n")


def test_namespace_of_the_file_is_created_before_the_pod(diagnose: Any, cluster: Cluster):
    cluster.platform.dry_run = status(404, 'namespaces "team-alpha" not found')
    cluster.platform.objects[f"{NAMESPACE}/serviceaccounts/default"] = {"metadata": {"name": "default"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team-alpha"}}
    result = diagnose(namespace, SECRET, POD)
    assert (result.code, result.out) == (
        3,
        "? Pod team-alpha/report: no problem found\n"
        "? Pod team-alpha/report: could not look at whether the API server accepts the pod: the file creates its "
        "namespace first\n",
    )
    assert "KPO-ADM112" in diagnose(SECRET, POD).out


@pytest.mark.usefixtures("with_secret")
def test_pod_of_a_cluster_is_judged_without_what_only_the_server_sets(diagnose: Any, cluster: Cluster):
    stored = {**change(uid="u", resourceVersion="7", managedFields=[{}]), "status": {"phase": "Running"}}
    assert diagnose(stored).code == 0
    (created,) = (each.body for each in cluster.server.seen if each.method == "POST")
    assert created == POD


@pytest.mark.usefixtures("with_secret")
def test_namespace_of_the_command_line_is_used_if_the_pod_has_none(diagnose: Any):
    bare = change(namespace=None)
    result = diagnose(bare, more=("-n", "team-alpha"))
    assert (result.code, result.out) == (0, "✔ Pod team-alpha/report: no problem found\n")
    assert "Error: Pod report in" in diagnose(bare).err
    assert "has no namespace. Pass -n NAMESPACE." in diagnose(bare).err
    assert "has the namespace team-alpha. Leave out -n other." in diagnose(POD, more=("-n", "other")).err


def test_other_formats_are_those_of_pods_that_exist(diagnose: Any):
    content = json.loads(diagnose(POD, more=("-o", "json")).out)
    jsonschema.validate(content, build_schema())
    assert [(each["pod"], each["code"]) for each in content["findings"]] == [("team-alpha/report", "KPO-STA101")]
    (run,) = json.loads(diagnose(POD, more=("-o", "sarif")).out)["runs"]
    assert [each["ruleId"] for each in run["results"]] == ["KPO-STA101"]
    suite = ElementTree.fromstring(diagnose(POD, more=("-o", "junit")).out)
    assert [(case.get("name"), case[0].get("type")) for case in suite] == [("team-alpha/report", "KPO-STA101")]


def test_api_server_that_is_down_is_one_sentence(platformctl: Platformctl, cluster: Cluster):
    cluster.server.seen.clear()
    kubeconfig = Path(cluster.options[1])
    kubeconfig.write_text(kubeconfig.read_text().replace(cluster.server.url, "http://127.0.0.1:1"))
    result = platformctl("diagnose", "-f", "-", *cluster.options, stdin=json.dumps(POD))
    assert (result.code, result.out, len(result.err.splitlines())) == (3, "", 1)
    assert "No answer from the API server http://127.0.0.1:1" in result.err


REFUSALS = (
    f'pods "report" is forbidden: admission webhook "policy.test" denied the request: value {CANARY} is not allowed',
    f'Pod "report" is invalid: spec.containers[0].env[0].value: Invalid value: "{CANARY}": too long',
    f"strange refusal of {CANARY}",
)


@pytest.mark.parametrize("output", ["text", "json", "sarif", "junit"])
@pytest.mark.parametrize("refusal", [None, *REFUSALS])
def test_no_output_contains_the_value_of_a_variable_or_a_secret(
    diagnose: Any, cluster: Cluster, output: str, refusal: str | None
):
    cluster.platform.dry_run = status(422, refusal) if refusal else None
    stuck = {
        "nodeSelector": {"disk": "ssd"},
        "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "data"}}],
        "containers": [{**POD["spec"]["containers"][0], "resources": {"requests": {"cpu": "64"}}}],
    }
    result = diagnose(SECRET, {**POD, "spec": {**POD["spec"], **stuck}}, more=("-o", output))
    assert (result.code, "KPO-SCH105" in result.out, "KPO-VOL101" in result.out) == (1, True, True)
    assert CANARY not in result.out + result.err
