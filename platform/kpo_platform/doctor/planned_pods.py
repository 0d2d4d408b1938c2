"""Diagnose pods that are not created yet: by a dry run, and by what they refer to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace

from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.diagnosis.facts import Facts
from kpo_platform.diagnosis.need import Answer, Need
from kpo_platform.diagnosis.reading import diagnose_with
from kpo_platform.diagnosis.signals import Rejection
from kpo_platform.doctor.pod_reader import PodReader
from kpo_platform.doctor.pod_status import choose_container
from kpo_platform.errors import ClusterError
from kpo_platform.kube import POD, SECRET, Kube, Object
from kpo_platform.kube.dry_run import Refusal, try_create
from kpo_platform.pod.json_fields import read_objects, read_text

_ROLE_PREFIX = "pod-launcher"
"""The name prefix of the role that may create pods in a team's namespace."""

_NO_DRY_RUN = re.compile(r'admission webhook "[^"]*" does not support dry run')
_NOT_FOUND = 404
_SHORTEST_VALUE = 6
_HIDDEN = "…"


class PlannedPodReader:
    """Reads what the pods of a file depend on, also from the file: its other objects are created with them."""

    def __init__(self, kube: Kube, reader: PodReader, others: Sequence[Object] = ()) -> None:
        """Create a reader; ``others`` are the other objects of the file, with a kind, a namespace and a name."""
        self._creator, self._reader = copy(kube), reader
        self._creator.role_prefix = _ROLE_PREFIX
        self._others = {_identify(each): _hide_data(each) for each in others}

    def read(self, need: Need) -> Answer:
        """Read what a diagnosis needs."""
        own = self._others.get(need)
        return self._reader.read(need) if own is None else Answer((own,))

    def diagnose(self, pod: Object) -> Diagnosis:
        """Diagnose a pod that has a namespace and a name, or a prefix of one; nothing is created."""
        facts = Facts(pod=pod, container=choose_container(pod), is_planned=True)
        return diagnose_with(self, self._try_create(self._reader.find_team(facts, pod["metadata"]["namespace"])))

    def _try_create(self, facts: Facts) -> Facts:
        try:
            answer = try_create(self._creator, POD, facts.pod)
        except ClusterError as error:
            return _add_unread(facts, error.evidence or str(error))
        if not isinstance(answer, Refusal):
            metadata = facts.pod["metadata"]  # of a prefix the API server has made a name
            return replace(facts, pod={**answer, "metadata": metadata}, is_admitted=True)
        if Need("Namespace", "", facts.namespace) in self._others and answer.status == _NOT_FOUND:
            return _add_unread(facts, "the file creates its namespace first")
        message = _hide_values(answer.message, facts.pod)
        if _NO_DRY_RUN.search(message):
            return _add_unread(facts, message)
        return replace(facts, rejection=Rejection(answer.status, message))


def _add_unread(facts: Facts, reason: str) -> Facts:
    return replace(facts, unread=(*facts.unread, f"whether the API server accepts the pod: {reason}"))


def _identify(body: Object) -> Need:
    return Need(body["kind"], body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _hide_data(body: Object) -> Object:
    """Keep of a Secret what a cluster tells of it, too: that it exists."""
    return {"metadata": body["metadata"]} if body["kind"] == SECRET.kind else body


def _hide_values(message: str, pod: Object) -> str:
    """Hide the values of the pod's variables in a refusal, which may repeat fields of the pod."""
    for value in sorted(_list_values(pod["spec"]), key=len, reverse=True):
        message = message.replace(value, _HIDDEN)
    return message


def _list_values(spec: Mapping[str, object]) -> set[str]:
    containers = [each for key in ("initContainers", "containers") for each in read_objects(spec.get(key))]
    values = {read_text(variable.get("value")) for each in containers for variable in read_objects(each.get("env"))}
    return {value for value in values if len(value) >= _SHORTEST_VALUE}
