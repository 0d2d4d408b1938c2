"""Check a registry login from a node of the cluster.

This is for registries that only the cluster can reach. The check creates a pod with an image that does not exist and
with the login as its pull secret. The node's pull error shows whether the registry accepted the login. No container
starts, and network policies do not apply to the pull. A scheduling gate holds the pod until its Secret exists. The pod
owns the Secret, and both are deleted after the check. The pod of a killed run ends after a minute, and the next run
deletes it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kpo_platform.bootstrap import labels
from kpo_platform.bootstrap.model import RegistryLogin
from kpo_platform.bootstrap.registry import pull_secret
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.contract import Contract, Team
from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.signals import Rejection
from kpo_platform.errors import ClusterError, Forbidden, NotFound, PlatformError
from kpo_platform.kube import POD, SECRET, Kube, Object, Resource, find_role_files
from kpo_platform.kube.dry_run import read_refusal
from kpo_platform.pod.compose import BASE, PodRequest, compose

NAME = "registry-check"
"""The name of the pod and the Secret. rbac/bootstrap-operator-registry.yaml grants access to this name only."""

_IMAGE = "kpo-platform/login-check:none"
_GATE = "kpo-platform/secret"
_POD_LIFETIME_SECONDS = 60
_TIMEOUT_SECONDS = 45.0
_INTERVAL = 0.5

# Error messages of containerd and CRI-O. The first match decides.
_PULL_PATTERNS = (
    (LoginStatus.ACCEPTED, r"insufficient_scope"),  # the registry issued a token, and the image does not exist
    (LoginStatus.REJECTED, r"401 Unauthorized|unauthorized|invalid username/password|oauth token: [^:]*: 403"),
    (LoginStatus.ACCEPTED, r"not found|manifest unknown|name unknown"),
)


def check_login_on_node(kube: Kube, contract: Contract, name: str, login: RegistryLogin) -> LoginResult:
    """Check a login for a team's registry with a pod in the team's namespace.

    Args:
        kube: the cluster.
        contract: the contract that the chart published.
        name: the team's name.
        login: the login.
    """
    team = contract.team(name)
    try:
        pod = _build_pod(contract, name, team)
        for resource in (SECRET, POD):
            _delete(kube, team, resource)  # left by a killed run
        if refusal := _try_create(kube, name, team, pod):
            return refusal
        with _run_pod(kube, name, team, pod, login):
            return _wait_for_pull(kube, name, team)
    except Forbidden:
        call = POD.call("create or patch", team.namespace, NAME)
        return _unverified(f"this needs the rights of {find_role_files(call, kube.role_prefix, contract.rules)}")
    except PlatformError as error:
        return _unverified(str(error))


@contextmanager
def _run_pod(kube: Kube, name: str, team: Team, pod: Object, login: RegistryLogin) -> Iterator[None]:
    """Create the pod and its Secret, and delete both at the end of the context."""
    try:
        owner = kube.apply(_add_gate(pod))["metadata"]["uid"]
        kube.apply(_build_secret(name, team, login, owner))
        kube.apply(pod)  # removes the gate
        yield
    finally:
        for resource in (SECRET, POD):
            with suppress(ClusterError):
                _delete(kube, team, resource)


def _try_create(kube: Kube, name: str, team: Team, pod: Object) -> LoginResult | None:
    """Return why the API server would refuse the pod; None if it would not."""
    try:
        kube.apply(_add_gate(pod), dry_run=True)
    except ClusterError as error:
        refusal = read_refusal(error)
        if refusal is None:
            raise
        rejection = Rejection(refusal.status, refusal.message)
        return _explain(Facts(pod=pod, rejection=rejection, team=team, team_name=name)) or _unverified(str(error))
    return None


def _wait_for_pull(kube: Kube, name: str, team: Team) -> LoginResult:
    end, pod = time.monotonic() + min(_TIMEOUT_SECONDS, kube.deadline.remaining_seconds()), Object()
    while time.monotonic() < end:
        pod = kube.get(POD, NAME, team.namespace)
        waiting = _read_waiting_state(pod)
        if "Pull" in waiting.get("reason", "") and (message := waiting.get("message")):
            result = parse_pull_message(message)
            is_known = result.status is not LoginStatus.UNVERIFIED
            return result if is_known else _explain(Facts(pod=pod, team=team, team_name=name)) or result
        time.sleep(_INTERVAL)
    why = _explain(Facts(pod=pod, team=team, team_name=name))
    return why or _unverified(f"no answer from a node within {_TIMEOUT_SECONDS:.0f} s, and no reason in the pod")


def _explain(facts: Facts) -> LoginResult | None:
    """Say why the pod was refused, or has not pulled its image; None if that is not known."""
    cause = diagnose(facts).main
    return _unverified(str(cause)) if cause else None


def parse_pull_message(message: str) -> LoginResult:
    """Parse from a node's pull error whether the registry accepted the login."""
    for status, pattern in _PULL_PATTERNS:
        if match := re.search(pattern, message):
            return LoginResult(status, f"checked from a node, which reported: {match[0]}")
    return _unverified(f"a node reported: {message[-300:]}")


def _build_pod(contract: Contract, name: str, team: Team) -> Object:
    """Build a pod of the team without its volumes, variables and sidecars.

    The claims and Secrets of these may not exist yet.
    """
    bare_team = team.model_copy(update={"volumes": (), "env": (), "env_from": (), "sidecars": ()})
    check_contract = contract.model_copy(update={"teams": {name: bare_team}})
    base = {"name": BASE, "image": f"{team.registry.host}/{_IMAGE}", "imagePullPolicy": "Always"}
    spec = {"imagePullSecrets": [{"name": NAME}], "activeDeadlineSeconds": _POD_LIFETIME_SECONDS, "containers": [base]}
    override = {"metadata": {"name": NAME, "labels": labels.build_common_labels()}, "spec": spec}
    return compose(check_contract, PodRequest(name, template="default", pod_override=override))


def _add_gate(pod: Object) -> Object:
    return {**pod, "spec": {**pod["spec"], "schedulingGates": [{"name": _GATE}]}}


def _build_secret(name: str, team: Team, login: RegistryLogin, owner: str) -> Object:
    secret = pull_secret.build_pull_secret(name, team, login)
    reference = {"apiVersion": "v1", "kind": POD.kind, "name": NAME, "uid": owner}
    return {**secret, "metadata": {**secret["metadata"], "name": NAME, "ownerReferences": [reference]}}


def _delete(kube: Kube, team: Team, resource: Resource) -> None:
    with suppress(NotFound):
        kube.force_delete(resource, NAME, team.namespace)


def _read_waiting_state(pod: Object) -> dict[str, str]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})


def _unverified(reason: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not checked from a node: {reason.rstrip('.')}")
