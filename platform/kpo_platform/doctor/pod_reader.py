"""Read pods and what their diagnosis needs, with the rights of the user."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import replace

from kpo_platform.contract import Contract
from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.diagnosis.facts import LOG_LINES, Facts
from kpo_platform.diagnosis.need import KINDS, Answer, Need
from kpo_platform.diagnosis.reading import diagnose_with
from kpo_platform.doctor.pod_status import choose_container, group_by_pod
from kpo_platform.errors import ClusterError, NotFound, Unreachable
from kpo_platform.kube import EVENT, POD, SECRET, Kube, Object, Resource
from kpo_platform.kube.pages import list_in_pages, list_most
from kpo_platform.kube.partial_reads import has_object, read_log

_GLOBAL_ROLE_PREFIX = "node-reader"
"""The name prefix of the role that may read nodes, and other objects without a namespace."""

_MOST_EVENTS = 10_000
_MOST_LOGS = 20
_MANY_LOGS = f"the log: of several pods only {_MOST_LOGS} logs are read; pass the name of the pod"


class PodReader:
    """Reads pods, their events and logs, and objects that they need; each object once."""

    def __init__(self, kube: Kube, contract: Contract | None = None) -> None:
        """Create a reader; the contract tells the teams' namespaces, sizes and policies."""
        self._kube, self._global_kube = kube, copy(kube)
        self._global_kube.role_prefix = _GLOBAL_ROLE_PREFIX
        self._teams = {team.namespace: (name, team) for name, team in contract.teams.items()} if contract else {}
        self._answers: dict[Need, Answer] = {}
        self._outage = ""

    def find_pods(self, namespace: str, labels: str = "") -> list[Object]:
        """List the pods of a namespace with these labels.

        Raises:
            ClusterError: the pods could not be listed.
        """
        return list_in_pages(self._kube, POD, namespace, labels)

    def diagnose(self, pod: Object) -> Diagnosis:
        """Diagnose a pod."""
        facts = self._create_facts(pod)
        name, namespace, uid = (pod["metadata"][key] for key in ("name", "namespace", "uid"))
        with _Unread(facts) as unread:
            fields = f"involvedObject.kind=Pod,involvedObject.name={name},involvedObject.uid={uid}"
            unread.facts = replace(facts, events=tuple(self._kube.list_objects(EVENT, namespace, fields=fields)))
        return diagnose_with(self, self._add_log(unread.facts) if _has_failed(facts) else unread.facts)

    def diagnose_all(self, pods: Sequence[Object]) -> list[Diagnosis]:
        """Diagnose pods of one namespace, whose events are listed once; at most 20 logs are read."""
        if not pods:
            return []
        events, unread = self._list_events(pods[0]["metadata"]["namespace"])
        found, logs = [], 0
        for pod in pods:
            known = tuple(events.get(pod["metadata"]["uid"], ()))
            facts = replace(self._create_facts(pod), events=known, unread=unread)
            if _has_failed(facts):
                logs += 1
                is_read = logs <= _MOST_LOGS
                facts = self._add_log(facts) if is_read else replace(facts, unread=(*unread, _MANY_LOGS))
            found.append(diagnose_with(self, facts))
        return found

    def read(self, need: Need) -> Answer:
        """Read what a diagnosis needs; of a Secret only whether it exists. After an outage nothing more is tried."""
        if need not in self._answers:
            self._answers[need] = Answer(refusal=self._outage) if self._outage else self._read_answer(need)
        return self._answers[need]

    def find_team(self, facts: Facts, namespace: str) -> Facts:
        """Add the team of a namespace to what is known about a pod."""
        team_name, team = self._teams.get(namespace, ("", None))
        return replace(facts, team=team, team_name=team_name)

    def _create_facts(self, pod: Object) -> Facts:
        return self.find_team(Facts(pod=pod, container=choose_container(pod)), pod["metadata"]["namespace"])

    def _add_log(self, facts: Facts) -> Facts:
        """Add the end of the program's log; the node may be gone, or the log."""
        with _Unread(facts) as unread:
            log = read_log(self._kube, facts.state.name, facts.namespace, facts.container, LOG_LINES)
            unread.facts = replace(facts, log_tail=tuple(log.splitlines()))
        return unread.facts

    def _list_events(self, namespace: str) -> tuple[dict[str, list[Object]], tuple[str, ...]]:
        """List the events of a namespace by the uid of their pod, and what of them could not be read."""
        try:
            fields = "involvedObject.kind=Pod"
            events, is_complete = list_most(self._kube, EVENT, namespace, _MOST_EVENTS, fields=fields)
        except ClusterError as error:
            return {}, (error.evidence or str(error),)
        return group_by_pod(events), () if is_complete else (f"all events of {namespace}: only {len(events)} are read",)

    def _read_answer(self, need: Need) -> Answer:
        try:
            return Answer(tuple(self._read(need)))
        except NotFound:
            return Answer()
        except ClusterError as error:
            refusal = error.evidence or str(error)
            self._outage = refusal if isinstance(error, Unreachable) else ""
            return Answer(refusal=refusal)

    def _read(self, need: Need) -> Iterator[Object]:
        resource = Resource(need.kind, *KINDS[need.kind])
        kube = self._kube if need.namespace else self._global_kube
        if need.is_about_events:
            yield from kube.list_objects(EVENT, need.namespace, fields=need.event_fields)
        elif not need.name:
            yield from kube.list_objects(resource, need.namespace)
        elif resource != SECRET:
            yield kube.get(resource, need.name, need.namespace)
        elif has_object(kube, resource, need.name, need.namespace):
            yield {"metadata": {"name": need.name, "namespace": need.namespace}}


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


def _has_failed(facts: Facts) -> bool:
    return bool(facts.state.container(facts.container).exit_code)
