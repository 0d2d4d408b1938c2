"""Whether a registry takes a sign-in, asked by a node of the cluster: for registries that only the cluster reaches.

A pod is made whose image does not exist and whose pull secret is the sign-in; what the node says about the pull tells
whether the registry let it in. No program runs, no network policy is in the way, and the way is the one that the teams'
pods take. The pod waits until its Secret is there, owns it, and both go at once; of a run that was killed the pod ends
by itself after a minute and the next run removes it.
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
from kpo_platform.errors import ClusterError, Forbidden, NotFound, PlatformError
from kpo_platform.kube import POD, SECRET, Kube, Object, Resource
from kpo_platform.pod.compose import BASE, PodRequest, compose

NAME = "registry-check"
"""The pod's and the Secret's name; rbac/bootstrap-operator-registry.yaml allows this one."""

_IMAGE = "kpo-platform/sign-in-check:none"
_GATE = "kpo-platform/secret"
_POD_LIFETIME_SECONDS = 60
_TIMEOUT_SECONDS = 45.0
_INTERVAL = 0.5

# What containerd and CRI-O say; the first that is found counts.
_PULL_PATTERNS = (
    (LoginStatus.ACCEPTED, r"insufficient_scope"),  # a token was given, and the image is not there
    (LoginStatus.REJECTED, r"401 Unauthorized|unauthorized|invalid username/password|oauth token: [^:]*: 403"),
    (LoginStatus.ACCEPTED, r"not found|manifest unknown|name unknown"),
)


def check_login_on_node(kube: Kube, contract: Contract, name: str, login: RegistryLogin) -> LoginResult:
    """Have a node try a team's registry.

    Args:
        kube: the cluster.
        contract: what the chart published.
        name: the team, in whose namespace it is tried.
        login: the sign-in.
    """
    team = contract.team(name)
    try:
        pod = _build_pod(contract, name, team)
        for resource in (SECRET, POD):
            _remove(kube, team, resource)  # of a run that was killed
        kube.apply(_add_gate(pod), dry_run=True)
        with _create_pod(kube, name, team, pod, login):
            return _wait_for_pull(kube, team)
    except Forbidden:
        return _unverified("that needs the rights of rbac/bootstrap-operator-registry.yaml")
    except PlatformError as error:
        return _unverified(str(error))


@contextmanager
def _create_pod(kube: Kube, name: str, team: Team, pod: Object, login: RegistryLogin) -> Iterator[None]:
    """Have the pod and its Secret for a while."""
    try:
        owner = kube.apply(_add_gate(pod))["metadata"]["uid"]
        kube.apply(_build_secret(name, team, login, owner))
        kube.apply(pod)  # without its gate
        yield
    finally:
        for resource in (SECRET, POD):
            with suppress(ClusterError):
                _remove(kube, team, resource)


def _wait_for_pull(kube: Kube, team: Team) -> LoginResult:
    end = time.monotonic() + min(_TIMEOUT_SECONDS, kube.deadline.remaining_seconds())
    seen = "the pod was not scheduled"
    while time.monotonic() < end:
        waiting = _read_waiting_state(kube.get(POD, NAME, team.namespace))
        seen = f"{waiting.get('reason', 'no reason')}: {waiting.get('message', 'no message')}" if waiting else seen
        if "Pull" in waiting.get("reason", "") and waiting.get("message"):
            return parse_pull_message(waiting["message"])
        time.sleep(_INTERVAL)
    return _unverified(f"no answer from a node within {_TIMEOUT_SECONDS:.0f} s, last seen: {seen}")


def parse_pull_message(message: str) -> LoginResult:
    """What a node's words about a pull say about the sign-in."""
    found = ((answer, re.search(sign, message)) for answer, sign in _PULL_PATTERNS)
    answer, sign = next(((answer, match[0]) for answer, match in found if match), (LoginStatus.UNVERIFIED, ""))
    if answer is LoginStatus.UNVERIFIED:
        return _unverified(f"a node says: {message[-300:]}")
    return LoginResult(answer, f"asked by a node, which says: {sign}")


def _build_pod(contract: Contract, name: str, team: Team) -> Object:
    """A pod of the team that has nothing but its image: what else it needs may not be there yet."""
    bare = team.model_copy(update={"volumes": (), "env": (), "env_from": (), "sidecars": ()})
    alone = contract.model_copy(update={"teams": {name: bare}})
    base = {"name": BASE, "image": f"{team.registry.host}/{_IMAGE}", "imagePullPolicy": "Always"}
    more = {"imagePullSecrets": [{"name": NAME}], "activeDeadlineSeconds": _POD_LIFETIME_SECONDS, "containers": [base]}
    override = {"metadata": {"name": NAME, "labels": labels.build_common_labels()}, "spec": more}
    return compose(alone, PodRequest(name, template="default", pod_override=override))


def _add_gate(pod: Object) -> Object:
    return {**pod, "spec": {**pod["spec"], "schedulingGates": [{"name": _GATE}]}}


def _build_secret(name: str, team: Team, login: RegistryLogin, owner: str) -> Object:
    secret = pull_secret.build_pull_secret(name, team, login)
    reference = {"apiVersion": "v1", "kind": POD.kind, "name": NAME, "uid": owner}
    return {**secret, "metadata": {**secret["metadata"], "name": NAME, "ownerReferences": [reference]}}


def _remove(kube: Kube, team: Team, resource: Resource) -> None:
    with suppress(NotFound):
        kube.force_delete(resource, NAME, team.namespace)


def _read_waiting_state(pod: Object) -> dict[str, str]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})


def _unverified(why: str) -> LoginResult:
    return LoginResult(LoginStatus.UNVERIFIED, f"not asked by a node: {why.rstrip('.')}")
