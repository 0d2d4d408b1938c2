"""DAGs and their tasks, read from files as the dag-processor reads them, but with no database."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from kpo_platform.errors import DagError, TaskError

if TYPE_CHECKING:
    from airflow.sdk import DAG


def read(root: Path, file: Path | None = None) -> BundleDagBag:
    """The DAGs of a folder, or of one file in it.

    Args:
        root: where imports of the files' own modules begin, as in a bundle.
        file: the only file to read.
    """
    return BundleDagBag(str(file or root), safe_mode=file is None, bundle_path=root)


def find_task(bag: BundleDagBag, dag: str, task_id: str, *, is_file: bool) -> Any:
    """The task of this name that makes a pod, mapped or not.

    Args:
        bag: the DAGs that were read.
        dag: what the person called the DAG: its file, or its id.
        task_id: the task's id.
        is_file: whether ``dag`` is a file, all of whose DAGs are meant.

    Raises:
        TaskError: there is no such DAG or task, or several are meant.
        DagError: it may be there, but a file could not be read.
    """
    dags = bag.dags if is_file else _by_id(bag, dag)
    found = [one.get_task(task_id) for one in dags.values() if task_id in _pod_tasks(one)]
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(sorted(task.dag_id for task in found))
        raise TaskError(f"{dag} has several DAGs with a task {task_id!r}: name one by its id, of {ids}.")
    _refuse_unread(bag)
    known = {name for one in dags.values() for name in _pod_tasks(one)}
    raise TaskError(f"{dag} has no task {task_id!r} that makes a pod; {_nearest(task_id, known)}")


def _by_id(bag: BundleDagBag, dag_id: str) -> Mapping[str, DAG]:
    if dag_id in bag.dags:
        return {dag_id: bag.dags[dag_id]}
    _refuse_unread(bag)
    raise TaskError(f"There is no DAG {dag_id!r} in {bag.dag_folder}; {_nearest(dag_id, bag.dags)}")


def _refuse_unread(bag: BundleDagBag) -> None:
    """Say first what could not be read: it may be the very file that was meant."""
    if bag.import_errors:
        problems = "\n".join(f"{file}: {text.strip().splitlines()[-1]}" for file, text in bag.import_errors.items())
        raise DagError(f"Not every file can be read; platformctl lint says more:\n{problems}")


def _pod_tasks(dag: DAG) -> set[str]:
    kinds = {task.task_id: getattr(task, "operator_class", type(task)) for task in dag.tasks}
    return {name for name, kind in kinds.items() if issubclass(kind, KubernetesPodOperator)}


def _nearest(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names) or 'none'}."
