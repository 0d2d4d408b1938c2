"""Pods that the Pod Security level refuses."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.diagnosis import IMAGE
from unit.support.refusals import FORBIDDEN, build_spec, find_cause, read_base

RESTRICTED = (
    f'{FORBIDDEN}violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container '
    '"base" must set '
    'securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "base" must set '
    'securityContext.capabilities.drop=["ALL"]; container "base" must not include "SYS_ADMIN" in '
    'securityContext.capabilities.add), runAsNonRoot != true (pod or container "base" must set '
    'securityContext.runAsNonRoot=true), seccompProfile (pod or container "base" must set '
    'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)


def test_pod_security_violations_are_ended_by_the_security_contexts():
    cause = find_cause(
        RESTRICTED, build_spec(securityContext={"capabilities": {"add": ["SYS_ADMIN", "NET_BIND_SERVICE"]}})
    )
    assert (cause.finding.code, cause.outlook) == ("KPO-ADM106", "final")
    assert cause.finding.cause.startswith(
        'The pod violates the Pod Security level "restricted" of team-alpha: container '
    )
    assert cause.finding.fix.text == (
        "Set security_context={'runAsNonRoot': True, 'seccompProfile': {'type': 'RuntimeDefault'}, "
        "'runAsUser': 50000}. "
        "Set container_security_context={'allowPrivilegeEscalation': False, 'capabilities': {'drop': ['ALL'], 'add': "
        "['NET_BIND_SERVICE']}}."
    )
    assert cause.finding.fix.patch is not None
    assert read_base(cause)["securityContext"]["capabilities"] == {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert cause.finding.fix.patch["spec"]["securityContext"]["runAsUser"] == 50000


@pytest.mark.parametrize(
    ("violation", "spec", "patch", "advice"),
    [
        (
            "host namespaces (hostNetwork=true, hostPID=true)",
            {"hostNetwork": True},
            {"hostNetwork": None, "hostPID": None},
            "Leave out hostnetwork. Leave out hostPID of the pod's template or pod_override.",
        ),
        (
            'privileged (container "base" must not set securityContext.privileged=true)',
            {},
            {"containers": [{"name": "base", "securityContext": {"privileged": False}}]},
            "Set container_security_context={'privileged': False}.",
        ),
        (
            'runAsNonRoot != true (container "base" must not set securityContext.runAsNonRoot=false)',
            {},
            {"containers": [{"name": "base", "securityContext": {"runAsNonRoot": True}}]},
            "Set container_security_context={'runAsNonRoot': True}.",
        ),
        (
            'runAsUser=0 (container "base" must not set runAsUser=0)',
            {},
            {
                "securityContext": {"runAsUser": 50000},
                "containers": [{"name": "base", "securityContext": {"runAsUser": None}}],
            },
            "Set security_context={'runAsUser': 50000}. Set container_security_context={'runAsUser': None}.",
        ),
        (
            'seccompProfile (pod and container "base" must not set securityContext.seccompProfile.type to '
            '"Unconfined")',
            {},
            {
                "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
                "containers": [{"name": "base", "securityContext": {"seccompProfile": None}}],
            },
            "",
        ),
        (
            'hostPort (container "base" uses hostPort 8080)',
            build_spec(ports=[{"containerPort": 80, "hostPort": 8080}]),
            {"containers": [{"name": "base", "ports": [{"containerPort": 80, "hostPort": None}]}]},
            "Leave out hostPort in the ports of container base.",
        ),
        (
            'non-default capabilities (container "base" must not include "SYS_TIME" in '
            "securityContext.capabilities.add)",
            build_spec(securityContext={"capabilities": {"add": ["SYS_TIME"]}}),
            {"containers": [{"name": "base", "securityContext": {"capabilities": {"add": None}}}]},
            "",
        ),
        ('hostPath volumes (volume "data")', {}, None, 'through a PersistentVolumeClaim instead of volume "data".'),
        (
            'new rule (container "base" must not be blue)',
            {},
            None,
            'Remove from the pod what violates the level: container "base" must not be blue.',
        ),
    ],
)
def test_each_pod_security_violation_has_a_fix(violation: str, spec: Any, patch: Any, advice: str):
    cause = find_cause(f'{FORBIDDEN}violates PodSecurity "baseline:v1.30": {violation}', spec)
    assert cause.finding.code == "KPO-ADM106"
    assert cause.finding.fix.patch == ({"spec": patch} if patch else None)
    assert advice in cause.finding.fix.text


def test_pod_security_of_the_xcom_sidecar_has_its_own_argument():
    detail = 'container "airflow-xcom-sidecar" must set securityContext.allowPrivilegeEscalation=false'
    spec = build_spec()
    spec["containers"].append({"name": "airflow-xcom-sidecar", "image": IMAGE})
    cause = find_cause(
        f'{FORBIDDEN}violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false ({detail})', spec
    )
    assert cause.finding.fix.text == (
        "Set xcom_sidecar_container_security_context of the Airflow connection to {'allowPrivilegeEscalation': False}."
    )
