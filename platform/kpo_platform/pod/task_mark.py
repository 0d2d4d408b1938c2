"""The annotations of a running pod that say which task of which installation it belongs to.

Labels do not: Airflow shortens and changes what they cannot contain.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from kpo_platform.contract import Contract
from kpo_platform.pod.json_fields import read_object, read_text
from kpo_platform.pod.merge import Json

INSTALLATION, TASK, ON_STOP = "kpo-platform/installation", "kpo-platform/task", "kpo-platform/on-stop"
LONGEST_MARKS = {INSTALLATION: 256, TASK: 10_000, ON_STOP: 16}
"""The marks, and the characters of each that count: three names of 250 characters as JSON are longer than most."""

_LONGEST_NAME, _LARGEST_INDEX = 250, 2**31 - 1
"""The limits of Airflow's database."""
KEEP = "keep"


@dataclass(frozen=True)
class MarkedTask:
    """A task of a run, as Airflow names it; ``map_index`` is -1 for an unmapped one."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int

    @property
    def is_valid(self) -> bool:
        """Whether Airflow can have such a task: another account may have changed what the pod says."""
        names = (self.dag_id, self.run_id, self.task_id)
        return all(map(_is_name, names)) and type(self.map_index) is int and -1 <= self.map_index <= _LARGEST_INDEX

    def describe(self) -> str:
        """Describe the task in a sentence, by its DAG, its run and the index of a mapped one."""
        index = "" if self.map_index < 0 else f", map index {self.map_index}"
        return f"{self.dag_id}.{self.task_id} (run {self.run_id}{index})"

    def build_marks(self, contract: Contract, *, keeps_on_stop: bool) -> dict[str, str]:
        """Build the annotations of the task's pod; `keeps_on_stop` if a stop of the task keeps the pod running."""
        kept = {ON_STOP: KEEP} if keeps_on_stop else {}
        return {INSTALLATION: name_installation(contract), TASK: json.dumps(asdict(self)), **kept}


def name_installation(contract: Contract) -> str:
    """Return the name of the Helm release, with its namespace."""
    return f"{contract.release.namespace}/{contract.release.name}"


def is_pod_of(pod: Json, dag_id: str, task_id: str, run_id: str = "") -> bool:
    """Tell whether a pod is of a task; of any run without one. A pod of the stock engine has only labels."""
    metadata = read_object(read_object(pod).get("metadata"))
    wanted = {"dag_id": dag_id, "task_id": task_id, **({"run_id": run_id} if run_id else {})}
    try:
        task = read_object(json.loads(read_text(read_object(metadata.get("annotations")).get(TASK))))
    except ValueError:
        task = read_object(metadata.get("labels"))
    return wanted.items() <= task.items()


def find_task_of_pod(pod: Json, installation: str) -> MarkedTask | None:
    """Find the task of a pod that a stop of it would end; None for every other pod, also of another installation."""
    marks = read_object(read_object(pod.get("metadata")).get("annotations"))
    if marks.get(INSTALLATION) != installation or ON_STOP in marks:
        return None
    try:
        fields = read_object(json.loads(read_text(marks.get(TASK))))
        task = MarkedTask(**fields)
    except (ValueError, TypeError, RecursionError):
        return None
    return task if task.is_valid else None


def _is_name(value: Any) -> bool:
    """Tell whether Airflow can be asked for this: its database refuses a null character, and JSON a lone surrogate."""
    if not isinstance(value, str) or not 0 < len(value) <= _LONGEST_NAME or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
