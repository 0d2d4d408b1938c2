"""DAGs and their tasks, read from files as the dag-processor reads them, but with no database, and the refused too."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from kpo_platform.errors import DagError, TaskError
from kpo_platform.finding import Refusal, refuse
from kpo_platform.offline.dag_files import dag_files, import_file
from kpo_platform.offline.lenient import Making, Place, Unmapped, forgiving, reasons

if TYPE_CHECKING:
    from airflow.sdk import DAG


@dataclass
class Bag:
    """What DAG files hold.

    Attributes:
        folder: where they are.
        dags: by their ids.
        errors: why a file cannot be read, by its name.
        refusals: why a task was refused, by its identity, or by its name where it is mapped; it is among its DAG's
            tasks nevertheless.
    """

    folder: Path
    dags: dict[str, DAG] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    refusals: dict[int | Unmapped, list[Refusal]] = field(default_factory=dict)
    making: Making = field(default_factory=Making)

    def note(self, task: Any, _: Place, found: list[Refusal]) -> None:
        """Keep why a task was refused."""
        self.refusals.setdefault(task if isinstance(task, Unmapped) else id(task), []).extend(found)

    def judge(self, task: Any) -> None:
        """Have a task judged as the dag-processor does, once it is there.

        Raises:
            Refused: the task was refused when it was made, or is refused by the cluster's policy.
        """
        found = [*self.refusals.get(id(task), []), *self.refusals.get(Unmapped(task.dag_id, task.task_id), [])]
        if id(task) not in self.making.unfinished:
            try:
                settings.task_policy(task)  # type: ignore[no-untyped-call]
            except AirflowClusterPolicyViolation as error:
                found = [*found, *reasons(error.__context__ or error)]
        refuse(dict.fromkeys(found))


def read(root: Path, file: Path | None = None) -> Bag:
    """The DAGs of a folder, or of one file in it.

    Args:
        root: where imports of the files' own modules begin, as in a bundle.
        file: the only file to read.
    """
    bag = Bag(file or root)
    with forgiving(f"{root}/", bag.note) as bag.making:
        for name in [str(file)] if file else dag_files(root):
            result = import_file(root, name, safe_mode=file is None)
            if result is None:
                continue
            bag.errors.update({each.file_path or name: each.stacktrace or each.message for each in result.errors})
            for dag in result.dags:
                _add(bag, dag)
    return bag


def _add(bag: Bag, dag: Any) -> None:
    """Keep a DAG that Airflow would load."""
    try:
        dag.validate()
        dag.check_cycle()
        dag.resolve_template_files()
    except Exception as error:  # Airflow raises whatever a broken DAG runs into
        bag.errors[str(dag.relative_fileloc)] = f"{type(error).__name__}: {error}"
    else:
        bag.dags[dag.dag_id] = dag


def find_task(bag: Bag, dag: str, task_id: str, *, is_file: bool) -> Any:
    """The task of this name that makes a pod, mapped or not.

    Args:
        bag: the DAGs that were read.
        dag: what the person called the DAG: its file, or its id.
        task_id: the task's id.
        is_file: whether ``dag`` is a file, all of whose DAGs are meant.

    Raises:
        TaskError: there is no such DAG or task, or several are meant.
        DagError: it may be there, but a file could not be read.
        Refused: it is there, and Airflow or the platform refuses it.
    """
    dags = bag.dags if is_file else _by_id(bag, dag)
    found = [one.get_task(task_id) for one in dags.values() if task_id in _pod_tasks(one)]
    if len(found) == 1:
        bag.judge(found[0])
        return found[0]
    if found:
        ids = ", ".join(sorted(task.dag_id for task in found))
        raise TaskError(f"{dag} has several DAGs with a task {task_id!r}: name one by its id, of {ids}.")
    _refuse_unread(bag)
    known = {name for one in dags.values() for name in _pod_tasks(one)}
    raise TaskError(f"{dag} has no task {task_id!r} that makes a pod; {_nearest(task_id, known)}")


def _by_id(bag: Bag, dag_id: str) -> Mapping[str, DAG]:
    if dag_id in bag.dags:
        return {dag_id: bag.dags[dag_id]}
    _refuse_unread(bag)
    raise TaskError(f"There is no DAG {dag_id!r} in {bag.folder}; {_nearest(dag_id, bag.dags)}")


def _refuse_unread(bag: Bag) -> None:
    """Say first what could not be read: it may be the very file that was meant."""
    if bag.errors:
        problems = "\n".join(f"{file}: {text.strip().splitlines()[-1]}" for file, text in bag.errors.items())
        raise DagError(f"Not every file can be read; platformctl lint says more:\n{problems}")


def _pod_tasks(dag: DAG) -> set[str]:
    kinds = {task.task_id: getattr(task, "operator_class", type(task)) for task in dag.tasks}
    return {name for name, kind in kinds.items() if issubclass(kind, KubernetesPodOperator)}


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or 'none'}."
