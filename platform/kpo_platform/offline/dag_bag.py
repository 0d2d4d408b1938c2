"""Read DAGs as the dag-processor does, but without a database, and keep refused tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow import settings
from airflow.exceptions import AirflowClusterPolicyViolation
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from kpo_platform.errors import DagError, TaskError, suggest_name
from kpo_platform.finding import Refusal, raise_refusals
from kpo_platform.offline.dag_files import import_file, list_dag_files
from kpo_platform.offline.refusals import CreatedTasks, Location, MappedTask, collect_refusals, list_refusals

if TYPE_CHECKING:
    from airflow.sdk import DAG


@dataclass
class DagBag:
    """The DAGs of a folder or file.

    Attributes:
        folder: the folder or file.
        dags: the DAGs by id.
        import_errors: import errors by file.
        refusals: the refusals of a task, by its identity, or by its name if it is mapped. A refused task is still one
            of its DAG's tasks.
        created: the tasks that the files created.
    """

    folder: Path
    dags: dict[str, DAG] = field(default_factory=dict)
    import_errors: dict[str, str] = field(default_factory=dict)
    refusals: dict[int | MappedTask, list[Refusal]] = field(default_factory=dict)
    created: CreatedTasks = field(default_factory=CreatedTasks)

    def add_refusals(self, task: Any, _: Location, refusals: list[Refusal]) -> None:
        """Keep the refusals of a task."""
        self.refusals.setdefault(task if isinstance(task, MappedTask) else id(task), []).extend(refusals)

    def check_task(self, task: Any) -> None:
        """Raise a task's refusals, including those of the cluster policy.

        Raises:
            RefusalError: Airflow or the platform refuses the task.
        """
        refusals = [*self.refusals.get(id(task), []), *self.refusals.get(MappedTask(task.dag_id, task.task_id), [])]
        if id(task) not in self.created.incomplete:
            try:
                settings.task_policy(task)  # type: ignore[no-untyped-call]
            except AirflowClusterPolicyViolation as error:
                refusals = [*refusals, *list_refusals(error.__context__ or error)]
        raise_refusals(dict.fromkeys(refusals))


def read_dags(root: Path, file: Path | None = None) -> DagBag:
    """Read the DAGs of a folder, or of one file in it.

    Args:
        root: the folder from which the files import their own modules, as in a bundle.
        file: the only file to read.
    """
    bag = DagBag(file or root)
    with collect_refusals(f"{root}/", bag.add_refusals) as bag.created:
        for name in [str(file)] if file else list_dag_files(root):
            result = import_file(root, name, safe_mode=file is None)
            if result is None:
                continue
            for error in result.errors:
                bag.import_errors[error.file_path or name] = error.stacktrace or error.message
            for dag in result.dags:
                _add_dag(bag, dag)
    return bag


def _add_dag(bag: DagBag, dag: Any) -> None:
    """Add a DAG, or the reason why Airflow would not load it."""
    try:
        dag.validate()
        dag.check_cycle()
        dag.resolve_template_files()
    except Exception as error:  # a broken DAG may raise anything
        bag.import_errors[str(dag.relative_fileloc)] = f"{type(error).__name__}: {error}"
    else:
        bag.dags[dag.dag_id] = dag


def find_task(bag: DagBag, dag: str, task_id: str, *, is_file: bool) -> Any:
    """Find a task by its id; the task creates a pod and may be mapped.

    Args:
        bag: the DAGs.
        dag: the DAG's file or id, as given by the user.
        task_id: the task's id.
        is_file: whether ``dag`` is a file; then all its DAGs are searched.

    Raises:
        TaskError: no DAG or task has that name, or several tasks have it.
        DagError: nothing was found, and some files could not be imported.
        RefusalError: Airflow or the platform refuses the task.
    """
    dags = bag.dags if is_file else _select_dag(bag, dag)
    tasks = [candidate.get_task(task_id) for candidate in dags.values() if task_id in _list_pod_tasks(candidate)]
    if len(tasks) == 1:
        bag.check_task(tasks[0])
        return tasks[0]
    if tasks:
        ids = ", ".join(sorted(task.dag_id for task in tasks))
        raise TaskError(f"{dag} has several DAGs with a task {task_id!r}. Pass the id of one of them: {ids}.")
    _raise_import_errors(bag)
    known = {name for candidate in dags.values() for name in _list_pod_tasks(candidate)}
    raise TaskError(f"{dag} has no task {task_id!r} that creates a pod. {suggest_name(task_id, known)}")


def _select_dag(bag: DagBag, dag_id: str) -> Mapping[str, DAG]:
    if dag_id in bag.dags:
        return {dag_id: bag.dags[dag_id]}
    _raise_import_errors(bag)
    raise TaskError(f"{bag.folder} has no DAG {dag_id!r}. {suggest_name(dag_id, bag.dags)}")


def _raise_import_errors(bag: DagBag) -> None:
    """Raise the import errors, because a DAG that was not found may be in one of those files."""
    if bag.import_errors:
        problems = "\n".join(f"{file}: {text.strip().splitlines()[-1]}" for file, text in bag.import_errors.items())
        raise DagError(f"Some DAG files cannot be imported. Run platformctl lint for details.\n{problems}")


def _list_pod_tasks(dag: DAG) -> set[str]:
    operators = {task.task_id: getattr(task, "operator_class", type(task)) for task in dag.tasks}
    return {task_id for task_id, operator in operators.items() if issubclass(operator, KubernetesPodOperator)}
