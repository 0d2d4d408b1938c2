"""platformctl diagnose: which pods it looks at, its output in each format, and its exit code."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from kpo_platform.cli.diagnosis_schema import build_schema
from unit.support.diagnosis import IMAGE, build_event, build_pod, end_with, wait_for
from unit.support.platformctl import Cluster, Platformctl

PODS = "/api/v1/namespaces/team-alpha/pods"
EVENTS = "/api/v1/namespaces/team-alpha/events"
MESSAGE = f'failed to resolve reference "{IMAGE}": {IMAGE}: not found'
CAUSE = f"The image {IMAGE} does not exist in registry registry.test"
FIX = "Correct its name or tag, or push it."
TASK = {"dag_id": "report", "run_id": "r", "task_id": "make", "map_index": -1}


def add_pod(cluster: Cluster, name: str = "report", task: dict[str, Any] | None = None, **status: Any) -> None:
    pod = build_pod(**status)
    annotations = {"kpo-platform/task": json.dumps(task)} if task else {}
    pod["metadata"] |= {"name": name, "uid": f"uid-{name}", "labels": {"dag_id": "report"}, "annotations": annotations}
    cluster.platform.objects[f"{PODS}/{name}"] = pod


def add_broken_pod(cluster: Cluster, name: str = "report", task: dict[str, Any] | None = None) -> None:
    add_pod(cluster, name, task, containerStatuses=[wait_for("ErrImagePull", MESSAGE)])


def add_running_pod(cluster: Cluster, name: str = "report") -> None:
    running = {"name": "base", "state": {"running": {"startedAt": "2026-11-30T10:00:00Z"}}, "ready": True}
    add_pod(cluster, name, phase="Running", containerStatuses=[running])


def choose(cluster: Cluster, *words: str) -> list[str]:
    """Return the command line for the fake cluster, whose release has the namespace airflow."""
    return ["diagnose", *words, *cluster.options]


def test_broken_pod_is_explained_with_evidence_and_fix(platformctl: Platformctl, cluster: Cluster):
    add_broken_pod(cluster)
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha"))
    assert (result.code, result.err) == (1, "1 finding in 1 pod.\n")
    assert result.out == (
        f"✗ Pod team-alpha/report (Pending): {CAUSE}\n"
        f"    seen  ErrImagePull (container base): {MESSAGE}\n"
        f"    fix   {FIX}\n"
        "    code  KPO-IMG103: docs/troubleshooting.md#kpo-img103\n"
    )


def test_running_pod_has_no_problem(platformctl: Platformctl, cluster: Cluster):
    add_running_pod(cluster)
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha"))
    assert (result.code, result.out) == (0, "✔ Pod team-alpha/report (Running): no problem found\n")


def test_json_has_the_fields_of_a_finding(platformctl: Platformctl, cluster: Cluster):
    add_broken_pod(cluster)
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha", "-o", "json"))
    finding = {
        "pod": "team-alpha/report",
        "code": "KPO-IMG103",
        "severity": "error",
        "object": {"kind": "Pod", "name": "report", "namespace": "team-alpha"},
        "cause": CAUSE,
        "evidence": [f"ErrImagePull (container base): {MESSAGE}"],
        "fix": {"text": FIX, "commands": [], "who": ""},
        "outlook": "final",
    }
    assert (result.code, json.loads(result.out)) == (1, {"findings": [finding], "could_not_look": []})
    jsonschema.validate(json.loads(result.out), build_schema())


def test_sarif_names_rule_and_object(platformctl: Platformctl, cluster: Cluster):
    add_broken_pod(cluster)
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha", "-o", "sarif"))
    (run,) = json.loads(result.out)["runs"]
    (found,) = run["results"]
    assert (found["ruleId"], found["level"]) == ("KPO-IMG103", "error")
    assert found["locations"] == [
        {
            "logicalLocations": [
                {"name": "report", "fullyQualifiedName": "Pod team-alpha/report", "kind": "Pod"},
            ]
        }
    ]


def test_junit_has_a_case_for_each_pod(platformctl: Platformctl, cluster: Cluster):
    add_broken_pod(cluster)
    result = platformctl(*choose(cluster, "--team", "alpha", "-o", "junit"))
    suite = ElementTree.fromstring(result.out)
    assert (suite.get("tests"), suite.get("failures")) == ("1", "1")
    assert [(case.get("name"), case[0].get("type")) for case in suite] == [("team-alpha/report", "KPO-IMG103")]


def test_task_has_its_pods_only(platformctl: Platformctl, cluster: Cluster):
    add_broken_pod(cluster, "wanted", TASK)
    add_broken_pod(cluster, "other", {**TASK, "task_id": "check"})
    result = platformctl(*choose(cluster, "--dag", "report", "--task", "make"))
    assert (result.code, result.err) == (1, "1 finding in 1 pod.\n")
    assert "team-alpha/wanted" in result.out
    of_run = platformctl(*choose(cluster, "--dag", "report", "--task", "make", "--run", "another"))
    assert (of_run.code, of_run.err) == (0, "0 findings in 0 pods.\n")


def test_what_cannot_be_read_is_named_and_never_green(platformctl: Platformctl, cluster: Cluster):
    add_running_pod(cluster)
    cluster.platform.refused.add(EVENTS)
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha"))
    assert result.code == 3
    assert result.out == (
        "? Pod team-alpha/report (Running): no problem found\n"
        "? Pod team-alpha/report (Running): could not look at Cannot list events in namespace team-alpha: "
        'User "jane" cannot do that. Ask for the rights of rbac/team-developer.yaml.\n'
    )


def test_text_of_the_cluster_is_escaped(platformctl: Platformctl, cluster: Cluster):
    add_pod(cluster, containerStatuses=[wait_for("ErrImagePull", "\x1b[31mnew\u202e\x00 words")])
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha"))
    assert "[31mnew words" in result.out
    assert not {"\x1b", "\u202e", "\x00"} & set(result.out)


def test_without_a_contract_a_pod_is_diagnosed_nevertheless(platformctl: Platformctl, cluster: Cluster):
    add_broken_pod(cluster)
    words = choose(cluster, "report", "-n", "team-alpha", "--release-namespace", "elsewhere")
    result = platformctl(*words)
    assert result.code == 1
    assert result.err.startswith(
        "! Without the contract, which tells sizes and policies of the teams: Namespace elsewhere"
    )
    assert "pass the release's namespace with --release-namespace." in result.err


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("report", "--team", "alpha"),
        ("--dag", "report"),
        ("--task", "make"),
        ("--team", "alpha", "--run", "r"),
        ("--team", "gamma"),
        ("report", "-f", "pod.yaml"),
        ("-f", "pod.yaml", "--watch"),
    ],
)
def test_selection_that_names_no_pod_is_wrong_usage(platformctl: Platformctl, cluster: Cluster, words: tuple[str, ...]):
    assert platformctl(*choose(cluster, *words)).code == 64


def test_missing_pod_is_an_error(platformctl: Platformctl, cluster: Cluster):
    result = platformctl(*choose(cluster, "nothing", "-n", "team-alpha"))
    assert (result.code, result.out) == (3, "")
    assert result.err.startswith("Error: Cannot get pods/nothing in namespace team-alpha")


LOG = "start\nTraceback (most recent call last):\nZeroDivisionError: division by zéro\n"


@pytest.mark.parametrize(("log", "text"), [(LOG, ": ZeroDivisionError: division by zéro"), ("", "")])
def test_end_of_the_log_is_evidence_of_a_failed_program(
    platformctl: Platformctl, cluster: Cluster, log: str, text: str
):
    add_pod(cluster, phase="Failed", containerStatuses=[end_with(1)])
    cluster.platform.objects[f"{PODS}/report/log"] = log
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha", "-o", "json"))
    (finding,) = json.loads(result.out)["findings"]
    assert finding["cause"].startswith(f"The program failed with exit code 1{text}")
    assert "b'" not in result.out


def test_events_of_the_pod_are_evidence(platformctl: Platformctl, cluster: Cluster):
    add_pod(cluster, containerStatuses=[wait_for("ImagePullBackOff", f'Back-off pulling image "{IMAGE}"')])
    event = build_event("Failed", f'Failed to pull image "{IMAGE}": {MESSAGE}', "base")
    cluster.platform.objects[f"{EVENTS}/e"] = {"metadata": {"name": "e"}, **event}
    result = platformctl(*choose(cluster, "report", "-n", "team-alpha", "-o", "json"))
    assert [finding["code"] for finding in json.loads(result.out)["findings"]] == ["KPO-IMG103"]
