"""Pods that a quota or a LimitRange refuses."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.diagnosis import IMAGE, NAMESPACE, find_causes, reject
from unit.support.refusals import FORBIDDEN, TEAM, build_spec, find_cause, read_base

QUOTA = f"ResourceQuota {NAMESPACE}/team-quota"
REQUESTS = {"cpu": "2", "memory": "4Gi"}
EXCEEDED = f"{FORBIDDEN}exceeded quota: team-quota, "


def test_full_quota_names_what_is_used_and_waits():
    message = (
        f"{EXCEEDED}requested: limits.memory=4Gi,pods=1, used: limits.memory=62Gi,pods=20, limited: "
        "limits.memory=64Gi,pods=20"
    )
    assert find_causes(reject(403, message)) == [
        (
            "KPO-ADM101",
            "waits",
            QUOTA,
            'The quota "team-quota" of team-alpha has no room for the pod: limits.memory 62Gi of 64Gi used, '
            "and the pod needs 4Gi more; pods 20 of 20 used, and the pod needs 1 more",
        )
    ]


def test_full_quota_suggests_the_largest_size_that_fits_now():
    message = f"{EXCEEDED}requested: requests.cpu=2, used: requests.cpu=3500m, limited: requests.cpu=4"
    cause = find_cause(message, build_spec({"requests": REQUESTS}))
    assert 'Use size="small" (cpu 100m, memory 128Mi).' in cause.finding.fix.text
    size = {"cpu": "100m", "memory": "128Mi"}
    assert read_base(cause) == {"resources": {"requests": size, "limits": size}}


@pytest.mark.parametrize(
    ("team", "advice", "limits"),
    [
        (TEAM, 'Use size="large" (cpu 1, memory 1Gi).', {"cpu": "1", "memory": "1Gi"}),
        (
            None,
            "Set {'requests': {'memory': '2Gi'}, 'limits': {'memory': '2Gi'}} or less in container_resources.",
            {"memory": "2Gi"},
        ),
    ],
)
def test_pod_larger_than_the_whole_quota_never_starts(team: Any, advice: str, limits: dict[str, str]):
    message = f"{EXCEEDED}requested: limits.memory=4Gi, used: limits.memory=0, limited: limits.memory=2Gi"
    cause = find_cause(message, build_spec({"requests": REQUESTS, "limits": REQUESTS}), team=team)
    assert (cause.finding.code, cause.outlook) == ("KPO-ADM102", "final")
    assert cause.finding.cause.endswith("it needs limits.memory 4Gi, and the whole quota is 2Gi")
    assert cause.finding.fix.text.startswith(advice)
    assert read_base(cause)["resources"]["limits"] == limits


def test_quota_that_requires_values_gets_them_in_each_container():
    message = (
        f"{FORBIDDEN}failed quota: team-quota: must specify limits.cpu for: airflow-xcom-sidecar,base; "
        "requests.memory for: base"
    )
    spec = build_spec({"requests": {"cpu": "300m"}, "limits": {"memory": "1Gi"}})
    spec["containers"].append({"name": "airflow-xcom-sidecar", "image": IMAGE})
    cause = find_cause(message, spec)
    assert (cause.finding.code, cause.outlook, str(cause.finding.object)) == ("KPO-ADM103", "final", QUOTA)
    assert "limits.cpu (container airflow-xcom-sidecar, base); requests.memory (container base)" in cause.finding.cause
    assert cause.finding.fix.patch == {
        "spec": {
            "containers": [
                {"name": "airflow-xcom-sidecar", "resources": {"limits": {"cpu": "500m"}}},
                {"name": "base", "resources": {"limits": {"cpu": "300m"}, "requests": {"memory": "1Gi"}}},
            ]
        }
    }
    assert 'xcom="message"' in cause.finding.fix.text


def test_quota_that_requires_values_is_understood_without_container_names():
    cause = find_cause(f"{FORBIDDEN}failed quota: team-quota: must specify limits.cpu,limits.memory", build_spec())
    assert read_base(cause) == {"resources": {"limits": {"cpu": "100m", "memory": "128Mi"}}}


@pytest.mark.parametrize(
    ("message", "resources", "changed"),
    [
        (
            "[maximum cpu usage per Container is 1, but limit is 2, maximum memory usage per Container is "
            "1Gi, but limit is 4Gi]",
            {"requests": REQUESTS, "limits": REQUESTS},
            {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        ),
        (
            "maximum memory usage per Pod is 1Gi, but limit is 4Gi",
            {"requests": {"memory": "512Mi"}, "limits": {"memory": "4Gi"}},
            {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
        ),
        (
            "minimum memory usage per Container is 64Mi, but request is 16Mi",
            {"requests": {"memory": "16Mi"}, "limits": {"memory": "32Mi"}},
            {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}},
        ),
        ("minimum cpu usage per Container is 50m.  No request is specified", {}, {"requests": {"cpu": "50m"}}),
        ("maximum cpu usage per Container is 1.  No limit is specified", {}, {"limits": {"cpu": "1"}}),
        (
            "cpu max limit to request ratio per Container is 2, but provided ratio is 8.000000",
            {"requests": {"cpu": "250m"}, "limits": {"cpu": "2"}},
            {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}},
        ),
    ],
)
def test_limit_range_is_met_by_the_fix(message: str, resources: dict[str, Any], changed: dict[str, Any]):
    cause = find_cause(FORBIDDEN + message, build_spec(resources))
    assert (cause.finding.code, cause.outlook) == ("KPO-ADM105", "final")
    assert read_base(cause) == {"resources": changed}


def test_limit_range_names_the_container_and_both_values():
    spec = build_spec({"limits": {"memory": "1Gi"}})
    spec["initContainers"] = [{"name": "load", "image": IMAGE, "resources": {"limits": {"memory": "8192Mi"}}}]
    cause = find_cause(f"{FORBIDDEN}maximum memory usage per Container is 2Gi, but limit is 8Gi", spec)
    assert cause.finding.cause.endswith("container load has a memory limit of 8Gi, and the maximum is 2Gi")
    assert cause.finding.fix.patch == {
        "spec": {"initContainers": [{"name": "load", "resources": {"limits": {"memory": "2Gi"}}}]}
    }
