"""platformctl doctor: output and exit code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from unit.support.platformctl import Cluster, Platformctl
from unit.support.release_objects import FAILED_CLEANUP, JOB, SCHEDULER


def add_object(cluster: Cluster, path: str, body: dict[str, Any]) -> None:
    """Add an object of the release to the fake cluster, without its kind, as the API server lists it."""
    labels = {"app.kubernetes.io/instance": "airflow", **body["metadata"].get("labels", {})}
    content = {key: value for key, value in body.items() if key != "kind"}
    cluster.platform.objects[path] = {**content, "metadata": {**body["metadata"], "labels": labels}}


def identify(kind: str, name: str) -> dict[str, str]:
    """Return an object of the release as JSON has it."""
    return {"kind": kind, "name": name, "namespace": "airflow"}


def test_doctor_command_lists_results_and_exits_with_1_on_problems(platformctl: Platformctl, cluster: Cluster):
    add_object(cluster, "/apis/apps/v1/namespaces/airflow/statefulsets/airflow-scheduler", SCHEDULER)
    add_object(cluster, "/apis/batch/v1/namespaces/airflow/jobs/airflow-migrate", JOB)
    broken = platformctl("doctor", *cluster.options)
    assert (broken.code, broken.err) == (1, "1 problem.\n")
    assert broken.out == (
        "✗ KPO-REL001 Secret airflow/fernet: does not exist, and StatefulSet airflow-scheduler "
        "cannot start without it. Create it with the key `fernet-key`. (docs/doctor.md#kpo-rel001)\n"
        "✔ Job airflow/airflow-migrate: completed\n"
        "✔ StatefulSet airflow/airflow-scheduler: 1 of 1 ready\n"
    )
    secret = {"metadata": {"name": "fernet"}, "data": {"fernet-key": "c2VjcmV0"}}
    add_object(cluster, "/api/v1/namespaces/airflow/secrets/fernet", secret)
    healthy = platformctl("doctor", *cluster.options)
    assert (healthy.code, healthy.err) == (0, "No problems found.\n")
    assert healthy.out.startswith("✔ Secret airflow/fernet: has `fernet-key`\n")
    assert "c2VjcmV0" not in healthy.out + broken.out and "secret" not in healthy.out


def test_doctor_json_has_a_code_for_every_result(platformctl: Platformctl, cluster: Cluster):
    add_object(cluster, "/apis/apps/v1/namespaces/airflow/statefulsets/airflow-scheduler", SCHEDULER)
    add_object(cluster, "/apis/batch/v1/namespaces/airflow/jobs/airflow-migrate", {**JOB, "status": {"active": 1}})
    result = platformctl("doctor", "-o", "json", *cluster.options)
    assert (result.code, result.err) == (1, "1 problem, 1 check incomplete.\n")
    secret, seen = (
        identify("Secret", "fernet"),
        "does not exist, and StatefulSet airflow-scheduler cannot start without it",
    )
    finding = {
        "code": "KPO-REL001",
        "severity": "error",
        "object": secret,
        "cause": "Every Secret that the release's pods need exists and has its keys.",
        "evidence": [seen],
        "fix": {"text": "Create it with the key `fernet-key`.", "commands": [], "patch": None, "who": ""},
    }
    assert [tuple(row) for row in json.loads(result.out)] == [("code", "object", "seen", "finding", "verified")] * 3
    assert [tuple(row.values()) for row in json.loads(result.out)] == [
        ("KPO-REL001", secret, seen, finding, True),
        ("KPO-REL002", identify("Job", "airflow-migrate"), "still running", None, False),
        ("KPO-REL003", identify("StatefulSet", "airflow-scheduler"), "1 of 1 ready", None, True),
    ]


def test_doctor_without_the_right_to_read_secrets_checks_the_rest(platformctl: Platformctl, cluster: Cluster):
    add_object(cluster, "/apis/apps/v1/namespaces/airflow/statefulsets/airflow-scheduler", SCHEDULER)
    cluster.platform.refused.add("/api/v1/namespaces/airflow/secrets/fernet")
    result = platformctl("doctor", *cluster.options)
    assert (result.code, result.err) == (3, "No problems found, 1 check incomplete.\n")
    assert result.out == (
        "? Secret airflow/fernet: not checked: no right to get it; used by StatefulSet airflow-scheduler\n"
        "✔ StatefulSet airflow/airflow-scheduler: 1 of 1 ready\n"
    )


@pytest.mark.parametrize(
    ("migration", "code", "line", "summary"),
    [
        (JOB, 0, "✔ Job airflow/airflow-migrate: completed", "No problems found, 1 warning."),
        (
            {**JOB, "status": {"active": 1}},
            3,
            "? Job airflow/airflow-migrate: still running",
            "No problems found, 1 warning, 1 check incomplete.",
        ),
    ],
)
def test_warning_does_not_change_the_exit_code(
    platformctl: Platformctl, cluster: Cluster, migration: dict[str, Any], code: int, line: str, summary: str
):
    add_object(cluster, "/apis/batch/v1/namespaces/airflow/jobs/airflow-migrate", migration)
    add_object(cluster, "/apis/batch/v1/namespaces/airflow/jobs/airflow-cleanup", FAILED_CLEANUP)
    result = platformctl("doctor", *cluster.options)
    assert (result.code, result.err) == (code, f"{summary}\n")
    assert result.out == (
        "⚠ KPO-REL002 Job airflow/airflow-cleanup: failed: too often. "
        "Fix the cause (see kubectl -n airflow logs job/airflow-cleanup), run kubectl -n airflow delete job "
        "airflow-cleanup, then wait for the next run of its CronJob. (docs/doctor.md#kpo-rel002)\n"
        f"{line}\n"
    )


def test_doctor_without_the_right_to_list_components_names_the_role(platformctl: Platformctl, cluster: Cluster):
    cluster.platform.refused.add("/apis/apps/v1/namespaces/airflow/deployments")
    result = platformctl("doctor", *cluster.options)
    assert (result.code, result.out, result.err) == (
        3,
        "",
        'Error: Cannot list deployments in namespace airflow: User "jane" cannot do that. '
        "Ask for the rights of rbac/doctor.yaml.\n",
    )
