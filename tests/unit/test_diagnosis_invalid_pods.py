"""Pods whose content the API server cannot accept."""

from __future__ import annotations

import time
from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Rejection
from unit.support.refusals import FORBIDDEN, build_spec, find_cause

INVALID = 'Pod "report" is invalid: '


@pytest.mark.parametrize(
    ("status", "message", "spec", "text", "fix", "patch"),
    [
        (
            422,
            f'{INVALID}spec.containers[0].resources.requests: Invalid value: "2": must be less than or '
            "equal to cpu limit of 1",
            build_spec({"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            'spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
            "Request at most cpu 1 in container_resources, or raise the limit.",
            {"containers": [{"name": "base", "resources": {"requests": {"cpu": "1"}}}]},
        ),
        (
            422,
            f'{INVALID}[spec.containers[0].volumeMounts[0].name: Not found: "data", metadata.labels: '
            'Invalid value: "a b": no]',
            build_spec(),
            'spec.containers[0].volumeMounts[0].name: Not found: "data"; metadata.labels: Invalid value: "a b": no',
            'Add the volume "data" to volumes, for example an empty one, or remove it from volume_mounts. '
            "Correct labels.",
            {"volumes": [{"name": "data", "emptyDir": {}}]},
        ),
        (
            403,
            f'{FORBIDDEN}spec.initContainers[0].imagePullPolicy: Unsupported value: "Never": supported '
            'values: "Always"',
            {},
            'spec.initContainers[0].imagePullPolicy: Unsupported value: "Never": supported values: "Always"',
            "Correct init_containers.",
            None,
        ),
        (
            400,
            'Pod in version "v1" cannot be handled as a Pod: json: cannot unmarshal number into Go struct field '
            "EnvVar.spec.containers.env.value of type string",
            build_spec(env=[{"name": "RETRIES", "value": 5}, {"name": "NAME", "value": "x"}]),
            "spec.containers.env.value (RETRIES) is a number, and must be a string",
            "Write it as a string in env_vars.",
            None,
        ),
        (
            400,
            'strict decoding error: unknown field "spec.nodeSelecter"',
            {},
            "it has the field spec.nodeSelecter, which Kubernetes does not know",
            "Correct or remove it in pod_override.",
            None,
        ),
        (
            400,
            'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular '
            "expression '^([+-]?[0-9.]+)'",
            build_spec({"limits": {"memory": "1Gb"}}),
            'container base has in limits the amount "1Gb" of memory that is not a Kubernetes quantity',
            "Correct container_resources: write amounts as 500m, 2 or 1Gi.",
            None,
        ),
    ],
)
def test_invalid_pod_names_field_value_and_argument(
    status: int, message: str, spec: Any, text: str, fix: str, patch: Any
):
    cause = find_cause(message, spec, status)
    assert (cause.finding.code, cause.outlook) == ("KPO-ADM116", "final")
    assert cause.finding.cause == f"The pod is not valid: {text}"
    assert cause.finding.fix.text == fix
    assert cause.finding.fix.patch == ({"spec": patch} if patch else None)


def test_large_pod_names_the_argument_with_most_of_it():
    cause = find_cause("Request entity too large: limit is 3145728", build_spec(args=["x" * 4_000_000]), 413)
    assert "most of it is arguments of container base, with 3906 KiB" in cause.finding.cause
    assert "x" * 100 not in str(cause)


def test_webhook_that_no_dry_run_can_ask_is_a_warning():
    cause = find_cause('admission webhook "w.example.com" does not support dry run', status=400)
    assert (cause.finding.severity, cause.is_vague) == ("warning", True)


@pytest.mark.parametrize(
    "pod", [{}, {"spec": []}, {"spec": {"containers": ["x", {"name": 1, "resources": {"limits": [1]}}]}}]
)
@pytest.mark.parametrize(
    "message",
    [
        f'{FORBIDDEN}violates PodSecurity "restricted:latest": privileged (container "base" must not), x (',
        f"{FORBIDDEN}exceeded quota: q, requested: limits.memory=4Gi, used: x, limited: limits.memory=1e999",
        f"{FORBIDDEN}failed quota: q: must specify limits.cpu for: ",
        f"{FORBIDDEN}maximum cpu usage per Pod is x, but limit is y",
        f"{FORBIDDEN}cpu max limit to request ratio per Container is 2, but provided ratio is 8.0",
        f"{INVALID}spec.containers[9].resources.requests: Invalid value: must be less than or equal to cpu limit",
        "quantities must match the regular expression",
        "request is too large",
        "{name} \x1b[31m %s",
    ],
)
def test_malformed_pods_and_messages_do_not_break_the_diagnosis(pod: Any, message: str):
    assert len(diagnose(Facts(pod=pod, rejection=Rejection(403, message))).causes) == 1


@pytest.mark.parametrize("word", ["a", "spec.", '"', "maximum ", "x (", "1 a, "])
def test_endless_message_takes_no_endless_time(word: str):
    started_at = time.process_time()
    find_cause(f"{FORBIDDEN}failed quota: {word * 100_000}")
    assert time.process_time() - started_at < 2
