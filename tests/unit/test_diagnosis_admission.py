"""Pods that the API server refuses to create: each refusal is told apart by its message."""

from __future__ import annotations

import pytest

from kpo_platform.diagnosis.facts import Facts
from unit.support.diagnosis import NAMESPACE, build_pod, find_causes, reject
from unit.support.refusals import FORBIDDEN, find_cause

POD = f"Pod {NAMESPACE}/report"
QUOTA = f"ResourceQuota {NAMESPACE}/team-quota"
ACCOUNT = "system:serviceaccount:airflow:airflow-worker"
CANNOT = (
    f'pods is forbidden: User "{ACCOUNT}" cannot create resource "pods" in API group "" in the namespace "team-alpha"'
)
CALL = (
    'Internal error occurred: failed calling webhook "check.example.com": failed to call webhook: Post '
    '"https://check.policies.svc:443/pods?timeout=10s": '
)
ANSWERS_NOT = (
    'The admission webhook "check.example.com" of the cluster does not answer, and without it no pod is '
    'created: Post "https'
)


@pytest.mark.parametrize(
    ("status", "message", "code", "outlook", "about", "text"),
    [
        (
            403,
            f"{FORBIDDEN}status unknown for quota: team-quota, resources: limits.cpu,pods",
            "KPO-ADM104",
            "waits",
            QUOTA,
            'Kubernetes has not yet counted what is used of the quota "team-quota"',
        ),
        (
            400,
            'admission webhook "validation.gatekeeper.sh" denied the request: [owner] you must provide '
            'labels: {"owner"}',
            "KPO-ADM107",
            "final",
            POD,
            'The admission webhook "validation.gatekeeper.sh" of the cluster refuses the pod: [owner] you must provide',
        ),
        (
            403,
            'admission webhook "w.example.com" denied the request: exceeded quota: q, requested: a=1, '
            "used: a=1, limited: a=1",
            "KPO-ADM107",
            "final",
            POD,
            'The admission webhook "w.example.com" of the cluster refuses the pod: exceeded quota',
        ),
        (
            422,
            f"{FORBIDDEN}ValidatingAdmissionPolicy 'no-host' with binding 'all' denied request: no host paths",
            "KPO-ADM108",
            "final",
            POD,
            "The ValidatingAdmissionPolicy no-host of the cluster refuses the pod: no host paths",
        ),
        (500, f'{CALL}no endpoints available for service "check"', "KPO-ADM109", "waits", POD, ANSWERS_NOT),
        (500, f"{CALL}context deadline exceeded", "KPO-ADM109", "waits", POD, ANSWERS_NOT),
        (500, f"{CALL}dial tcp 10.0.0.1:443: connect: connection refused", "KPO-ADM109", "waits", POD, ANSWERS_NOT),
        (
            403,
            f'{FORBIDDEN}error looking up service account team-alpha/etl: serviceaccount "etl" not found',
            "KPO-ADM110",
            "grace",
            f"ServiceAccount {NAMESPACE}/etl",
            'The service account "etl" does not exist in team-alpha',
        ),
        (
            403,
            CANNOT,
            "KPO-ADM111",
            "grace",
            f"Role {NAMESPACE}/pod-launcher",
            f"The account {ACCOUNT} cannot create pods in namespace team-alpha",
        ),
        (
            404,
            'namespaces "team-gone" not found',
            "KPO-ADM112",
            "grace",
            "Namespace team-gone",
            'The namespace "team-gone" does not exist',
        ),
        (
            403,
            f"{FORBIDDEN}unable to create new content in namespace team-alpha because it is being terminated",
            "KPO-ADM113",
            "final",
            f"Namespace {NAMESPACE}",
            "The namespace team-alpha is being deleted",
        ),
        (
            403,
            f"{FORBIDDEN}no PriorityClass with name urgent was found",
            "KPO-ADM114",
            "grace",
            "PriorityClass urgent",
            'The priority class "urgent" does not exist',
        ),
        (
            403,
            f'{FORBIDDEN}pod rejected: RuntimeClass "gvisor" not found',
            "KPO-ADM115",
            "grace",
            "RuntimeClass gvisor",
            'The runtime class "gvisor" does not exist',
        ),
        (
            403,
            f"{FORBIDDEN}pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead",
            "KPO-ADM115",
            "final",
            POD,
            "The pod contradicts its runtime class: ",
        ),
        (
            409,
            'pods "report" already exists',
            "KPO-ADM117",
            "final",
            POD,
            'A pod with the name "report" exists already in team-alpha',
        ),
        (
            409,
            'object is being deleted: pods "report" already exists',
            "KPO-ADM117",
            "waits",
            POD,
            "Another pod has the name of the pod, and is being deleted",
        ),
        (401, "Unauthorized", "KPO-ADM118", "grace", POD, "The API server rejects the credentials of the task"),
        (
            403,
            'forbidden: User "system:anonymous" cannot post path "/api/v1/namespaces/team-alpha/pods"',
            "KPO-ADM118",
            "grace",
            POD,
            "The API server gets no valid credentials from the task",
        ),
        (
            413,
            "Request entity too large: limit is 3145728",
            "KPO-ADM119",
            "final",
            POD,
            "The pod is larger than the 3072 KiB that the API server accepts",
        ),
        (500, "etcdserver: request is too large", "KPO-ADM119", "final", POD, "The pod is larger than the API server"),
        (
            409,
            'Operation cannot be fulfilled on resourcequotas "q": the object has been modified; please '
            "apply your changes",
            "KPO-ADM120",
            "waits",
            POD,
            "The API server cannot handle the request now: Operation cannot be fulfilled",
        ),
        (429, "slow down", "KPO-ADM120", "waits", POD, "The API server cannot handle the request now: slow down"),
        (503, "", "KPO-ADM120", "waits", POD, "The API server cannot handle the request now: "),
        (
            403,
            f"{FORBIDDEN}the moon is full.",
            "KPO-ADM100",
            "grace",
            POD,
            "The API server refuses to create the pod: ",
        ),
        (403, "", "KPO-ADM100", "grace", POD, "The API server refuses to create the pod: HTTP status 403"),
    ],
)
def test_refusal_is_told_by_its_message(status: int, message: str, code: str, outlook: str, about: str, text: str):
    ((found_code, found_outlook, found_about, cause),) = find_causes(reject(status, message))
    assert (found_code, found_outlook, found_about) == (code, outlook, about)
    assert cause.startswith(text)


def test_unknown_refusal_is_verbatim_and_vague():
    cause = find_cause(f"{FORBIDDEN}the moon is full.")
    assert cause.is_vague
    assert f"{FORBIDDEN}the moon is full" in cause.finding.cause
    assert cause.finding.evidence == (f"HTTP 403: {FORBIDDEN}the moon is full.",)


def test_pod_without_a_refusal_has_no_admission_problem():
    assert find_causes(Facts(pod=build_pod())) == []


def test_missing_right_is_given_by_the_printed_command():
    fix = find_cause(CANNOT).finding.fix
    assert (fix.who, fix.commands) == (
        "the platform team",
        (
            "kubectl -n team-alpha create rolebinding pod-launcher-airflow-worker --role=pod-launcher "
            "--serviceaccount=airflow:airflow-worker",
        ),
    )


@pytest.mark.parametrize(
    ("message", "commands"),
    [
        (
            f'{FORBIDDEN}error looking up service account team-alpha/$(id): serviceaccount "$(id)" not found',
            ("kubectl -n team-alpha create serviceaccount '$(id)'",),
        ),
        ('namespaces "a;b" not found', ("kubectl create namespace 'a;b'",)),
        ('pods "x y" already exists', ("kubectl -n team-alpha delete pod 'x y'",)),
        (f'{FORBIDDEN}error looking up service account team-alpha/team-pod: serviceaccount "team-pod" not found', ()),
        ('namespaces "team-alpha" not found', ()),
    ],
)
def test_names_in_commands_are_quoted_and_the_charts_objects_come_from_the_chart(
    message: str, commands: tuple[str, ...]
):
    fix = find_cause(message).finding.fix
    assert fix.commands == commands
    assert commands or "helm upgrade" in fix.text
