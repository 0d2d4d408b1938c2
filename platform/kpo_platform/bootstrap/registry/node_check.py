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
from kpo_platform.bootstrap.model import Login
from kpo_platform.bootstrap.registry import pull_secret
from kpo_platform.bootstrap.registry.login_check import Answer, Verdict
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import ClusterError, Forbidden, NotFound, PlatformError
from kpo_platform.kube import POD, SECRET, Kube, Object, Resource
from kpo_platform.pod.compose import BASE, PodRequest, unchecked

NAME = "registry-check"
"""The pod's and the Secret's name; rbac/bootstrap-operator-registry.yaml allows this one."""

_IMAGE = "kpo-platform/sign-in-check:none"
_GATE = "kpo-platform/secret"
_LIFE_SECONDS = 60
_WAIT_SECONDS = 45.0
_LOOK = 0.5

# What containerd and CRI-O say; the first that is found counts.
_SIGNS = (
    (Answer.TAKEN, r"insufficient_scope"),  # a token was given, and the image is not there
    (Answer.REFUSED, r"401 Unauthorized|unauthorized|invalid username/password|oauth token: [^:]*: 403"),
    (Answer.TAKEN, r"not found|manifest unknown|name unknown"),
)


def ask(kube: Kube, contract: Contract, name: str, login: Login) -> Verdict:
    """Have a node try a team's registry.

    Args:
        kube: the cluster.
        contract: what the chart published.
        name: the team, in whose namespace it is tried.
        login: the sign-in.
    """
    team = contract.team(name)
    try:
        pod = _pod(contract, name, team)
        for resource in (SECRET, POD):
            _remove(kube, team, resource)  # of a run that was killed
        kube.apply(_gated(pod), dry_run=True)
        with _made(kube, name, team, pod, login):
            return _wait(kube, team)
    except Forbidden:
        return _unverified("that needs the rights of rbac/bootstrap-operator-registry.yaml")
    except PlatformError as error:
        return _unverified(str(error))


@contextmanager
def _made(kube: Kube, name: str, team: Team, pod: Object, login: Login) -> Iterator[None]:
    """Have the pod and its Secret for a while."""
    try:
        owner = kube.apply(_gated(pod))["metadata"]["uid"]
        kube.apply(_secret(name, team, login, owner))
        kube.apply(pod)  # without its gate
        yield
    finally:
        for resource in (SECRET, POD):
            with suppress(ClusterError):
                _remove(kube, team, resource)


def _wait(kube: Kube, team: Team) -> Verdict:
    end = time.monotonic() + min(_WAIT_SECONDS, kube.deadline.remaining_seconds())
    seen = "the pod was not scheduled"
    while time.monotonic() < end:
        waiting = _waiting(kube.get(POD, NAME, team.namespace))
        seen = f"{waiting.get('reason', 'no reason')}: {waiting.get('message', 'no message')}" if waiting else seen
        if "Pull" in waiting.get("reason", "") and waiting.get("message"):
            return judged(waiting["message"])
        time.sleep(_LOOK)
    return _unverified(f"no answer from a node within {_WAIT_SECONDS:.0f} s, last seen: {seen}")


def judged(message: str) -> Verdict:
    """What a node's words about a pull say about the sign-in."""
    found = ((answer, re.search(sign, message)) for answer, sign in _SIGNS)
    answer, sign = next(((answer, match[0]) for answer, match in found if match), (Answer.UNVERIFIED, ""))
    if answer is Answer.UNVERIFIED:
        return _unverified(f"a node says: {message[-300:]}")
    return Verdict(answer, f"asked by a node, which says: {sign}")


def _pod(contract: Contract, name: str, team: Team) -> Object:
    """A pod of the team that has nothing but its image: what else it needs may not be there yet."""
    bare = team.model_copy(update={"volumes": (), "env": (), "env_from": (), "sidecars": ()})
    alone = contract.model_copy(update={"teams": {name: bare}})
    base = {"name": BASE, "image": f"{team.registry.host}/{_IMAGE}", "imagePullPolicy": "Always"}
    more = {"imagePullSecrets": [{"name": NAME}], "activeDeadlineSeconds": _LIFE_SECONDS, "containers": [base]}
    override = {"metadata": {"name": NAME, "labels": labels.shared()}, "spec": more}
    return unchecked(alone, PodRequest(name, template="default", pod_override=override))


def _gated(pod: Object) -> Object:
    return {**pod, "spec": {**pod["spec"], "schedulingGates": [{"name": _GATE}]}}


def _secret(name: str, team: Team, login: Login, owner: str) -> Object:
    secret = pull_secret.body(name, team, login)
    reference = {"apiVersion": "v1", "kind": POD.kind, "name": NAME, "uid": owner}
    return {**secret, "metadata": {**secret["metadata"], "name": NAME, "ownerReferences": [reference]}}


def _remove(kube: Kube, team: Team, resource: Resource) -> None:
    with suppress(NotFound):
        kube.force_delete(resource, NAME, team.namespace)


def _waiting(pod: Object) -> dict[str, str]:
    statuses = (pod.get("status") or {}).get("containerStatuses") or [{}]
    return dict((statuses[0].get("state") or {}).get("waiting") or {})


def _unverified(why: str) -> Verdict:
    return Verdict(Answer.UNVERIFIED, f"not asked by a node: {why.rstrip('.')}")
