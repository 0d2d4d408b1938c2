"""Read pods and what their diagnosis needs, with the rights of the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from kpo_platform.contract import Contract
from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import KINDS, Answer, Need
from kpo_platform.diagnosis.reading import diagnose_with
from kpo_platform.errors import ClusterError, NotFound
from kpo_platform.kube import EVENT, POD, SECRET, Kube, Object, Resource
from kpo_platform.kube.partial_reads import has_object, read_log

_LOG_LINES = 50
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_BASE = "base"
_PROBLEM_PHASES = ("Pending", "Failed", "Unknown")


class PodReader:
    """Reads pods, their events and logs, and objects that they need."""

    def __init__(self, kube: Kube, contract: Contract | None = None) -> None:
        """Create a reader; the contract tells the teams' namespaces, sizes and policies."""
        self._kube = kube
        self._teams = {team.namespace: (name, team) for name, team in contract.teams.items()} if contract else {}

    def find_pods(self, namespace: str, labels: str = "") -> list[Object]:
        """List the pods of a namespace with these labels; without labels, those that do not run or have failed.

        Raises:
            ClusterError: the pods could not be listed.
        """
        if labels:
            return self._kube.list_objects(POD, namespace, labels)
        return [pod for phase in _PROBLEM_PHASES for pod in self._list_by_phase(namespace, phase)]

    def diagnose(self, pod: Object) -> Diagnosis:
        """Diagnose a pod."""
        return diagnose_with(self, self.collect_facts(pod))

    def collect_facts(self, pod: Object) -> Facts:
        """Collect what a pod itself shows: state, events, log."""
        metadata, container = pod["metadata"], _choose_container(pod)
        name, namespace = metadata["name"], metadata["namespace"]
        team_name, team = self._teams.get(namespace, ("", None))
        facts = Facts(pod=pod, container=container, team=team, team_name=team_name)
        with _Unread(facts) as unread:
            fields = f"involvedObject.kind=Pod,involvedObject.name={name},involvedObject.uid={metadata['uid']}"
            unread.facts = replace(facts, events=tuple(self._kube.list_objects(EVENT, namespace, fields=fields)))
        if not facts.state.container(container).exit_code:
            return unread.facts
        with _Unread(unread.facts) as unread:  # the node may be gone, or the log
            log = read_log(self._kube, name, namespace, container, _LOG_LINES)
            unread.facts = replace(unread.facts, log_tail=tuple(log.splitlines()))
        return unread.facts

    def read(self, need: Need) -> Answer:
        """Read what a diagnosis needs; of a Secret only whether it exists."""
        try:
            return Answer(tuple(self._read(need)))
        except NotFound:
            return Answer()
        except ClusterError as error:
            return Answer(refusal=error.evidence or str(error))

    def _read(self, need: Need) -> Iterator[Object]:
        resource = Resource(need.kind, *KINDS[need.kind])
        if need.is_about_events:
            yield from self._kube.list_objects(EVENT, need.namespace, fields=need.event_fields)
        elif not need.name:
            yield from self._kube.list_objects(resource, need.namespace)
        elif resource != SECRET:
            yield self._kube.get(resource, need.name, need.namespace)
        elif has_object(self._kube, resource, need.name, need.namespace):
            yield {"metadata": {"name": need.name, "namespace": need.namespace}}

    def _list_by_phase(self, namespace: str, phase: str) -> list[Object]:
        return self._kube.list_objects(POD, namespace, fields=f"status.phase={phase}")


class _Unread:
    """Adds to facts that something could not be read, and why."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts

    def __enter__(self) -> _Unread:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        if isinstance(error, ClusterError):
            self.facts = replace(self.facts, unread=(*self.facts.unread, error.evidence or str(error)))
        return isinstance(error, ClusterError)


def _choose_container(pod: Object) -> str:
    """Choose the container that runs the program: that of a task's pod, the one that the pod names, or the first."""
    names = [container["name"] for container in pod["spec"]["containers"]]
    named = (pod["metadata"].get("annotations") or {}).get(_DEFAULT_CONTAINER, _BASE)
    return str(named if named in names else names[0])
