"""Lint the DAG files of a folder: find refused tasks and import errors with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.exceptions import AirflowClusterPolicyViolation

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.guards.triggers.dag_triggers import (
    find_refused_triggers_of_dag,
    find_refused_triggers_of_task,
)
from kpo_platform.airflow.operators.arguments.mapped import list_expansions
from kpo_platform.contract import load as load_contract
from kpo_platform.finding import LocatedFinding, ObjectRef, Refusal
from kpo_platform.offline.dag_files import import_file, list_dag_files
from kpo_platform.offline.refusals import CreatedTasks, Location, collect_refusals, list_refusals
from kpo_platform.offline.source_location import find_line

_ARGUMENTS = {
    "image-pin": "image",
    "image-allow": "image",
    "team": "team",
    "label": "labels",
    "credential": "env_vars",
    "trigger": "deferrable",
}
"""The argument that a rule is about, for refusals that name none."""


def lint_folder(root: Path) -> tuple[int, list[LocatedFinding]]:
    """Lint every DAG file of a folder.

    Args:
        root: the folder, from which the files import their own modules.

    Returns:
        The number of files, and the findings sorted by file, relative to the folder, and line.
    """
    linter, files = _Linter(root), list_dag_files(root)
    with collect_refusals(f"{root}/", linter.add_refusals) as created:
        for file in files:
            linter.lint_file(file, created)
    return len(files), sorted(dict.fromkeys(linter.findings), key=lambda located: (located.file, located.line))


class _Linter:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._file_by_dag: dict[str, str] = {}
        self._file = ""
        self.findings: list[LocatedFinding] = []

    def lint_file(self, file: str, created: CreatedTasks) -> None:
        """Import a file, and check the tasks of its DAGs."""
        self._file = file
        result = import_file(self._root, file, safe_mode=True)
        if result is None:
            return
        for error in result.errors:
            text = error.stacktrace or error.message
            self._add(
                file, _find_traceback_line(text, file), ObjectRef("file", Path(file).name), [_refuse_import(text)]
            )
        for dag in result.dags:
            self._lint_dag(dag, created)

    def add_refusals(self, task: Any, location: Location, refusals: Iterable[Refusal]) -> None:
        """Add the refusals of a task as findings."""
        task_id = str(getattr(task, "task_id", ""))
        file, call_line = location or (self._file, None)
        for refusal in refusals:
            argument = refusal.argument or _ARGUMENTS.get(refusal.rule, "")
            line = find_line(file, call_line, task_id.rpartition(".")[2], argument)
            self._add(file, line, ObjectRef("task", task_id), [refusal])

    def _lint_dag(self, dag: Any, created: CreatedTasks) -> None:
        other = self._file_by_dag.setdefault(dag.dag_id, self._file)
        if other != self._file:
            evidence = f"The DAG {dag.dag_id!r} is also in {Path(other).name}"
            duplicate = Refusal("import", evidence, "Give one of them another ID.")
            self._add(self._file, 1, ObjectRef("DAG", dag.dag_id), [duplicate])
        try:
            dag.validate()
            dag.check_cycle()
        except Exception as error:  # a broken DAG may raise anything, and Airflow would not load it
            self._add(self._file, 1, ObjectRef("DAG", dag.dag_id), [_refuse_import(str(error))])
        for task in dag.tasks:
            if id(task) not in created.incomplete:
                self._lint_task(task, created.locations.get(id(task)))
        self._add(self._file, 1, ObjectRef("DAG", dag.dag_id), find_refused_triggers_of_dag(dag, load_contract()))

    def _lint_task(self, task: Any, location: Location) -> None:
        """Apply the cluster policy, and create the single tasks of a mapped one.

        Both may refuse the task, for example because no team owns its DAG.
        """
        try:
            settings.task_policy(task)  # type: ignore[no-untyped-call]
            _create_single_tasks(task)
        except AirflowClusterPolicyViolation as error:
            self.add_refusals(task, location, list_refusals(error.__context__ or error))
        self.add_refusals(task, location, find_refused_triggers_of_task(task, load_contract()))

    def _add(self, file: str, line: int, about: ObjectRef, refusals: Iterable[Refusal]) -> None:
        path = str(Path(file).relative_to(self._root)) if Path(file).is_relative_to(self._root) else file
        self.findings.extend(LocatedFinding(path, line, refusal.to_finding(about)) for refusal in refusals)


def _create_single_tasks(task: Any) -> None:
    """Create the tasks of a mapped TeamPodOperator whose arguments are all in the file."""
    if task.is_mapped and issubclass(task.operator_class, TeamPodOperator):
        for expansion in list_expansions(task):
            if expansion.is_complete:
                task.unmap(expansion.arguments)


def _refuse_import(text: str) -> Refusal:
    cause = text.strip().splitlines()[-1] if text.strip() else "no error message"
    return Refusal("import", f"Airflow cannot load it ({cause})", "Correct this error, and lint again.")


def _find_traceback_line(text: str, file: str) -> int:
    """Return the last line of a file that a traceback names; else 1."""
    lines = re.findall(rf'File "{re.escape(file)}", line (\d+)', text)
    return int(lines[-1]) if lines else 1
