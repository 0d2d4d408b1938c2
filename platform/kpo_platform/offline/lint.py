"""Everything that speaks against the DAG files of a folder, with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow import settings
from airflow.exceptions import AirflowClusterPolicyViolation

from kpo_platform import TeamPodOperator
from kpo_platform.finding import Finding, Refusal, finding
from kpo_platform.offline.dag_files import dag_files, import_file
from kpo_platform.offline.lenient import Making, Place, forgiving, reasons
from kpo_platform.offline.source_location import line

_ARGUMENTS = {"image-pin": "image", "image-allow": "image", "team": "team", "label": "labels", "credential": "env_vars"}
"""Which argument a rule is about, where the refusal does not say."""

_MOST_MAPPED = 100


@dataclass(frozen=True)
class Located:
    """A finding and where it is; the file as it lies below the root."""

    file: str
    line: int
    finding: Finding


def lint(root: Path) -> tuple[int, list[Located]]:
    """Judge every DAG file of a folder.

    Args:
        root: the folder; imports of the files' own modules begin here.

    Returns:
        The number of files, and what was found, in the order of files and lines.
    """
    run, files = _Run(root), dag_files(root)
    with forgiving(f"{root}/", run.note) as making:
        for file in files:
            run.file(file, making)
    return len(files), sorted(dict.fromkeys(run.found), key=lambda each: (each.file, each.line))


class _Run:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._dags: dict[str, str] = {}
        self._current = ""
        self.found: list[Located] = []

    def file(self, file: str, making: Making) -> None:
        """Read a file, and judge the tasks of its DAGs."""
        self._current = file
        result = import_file(self._root, file, safe_mode=True)
        if result is None:
            return
        for error in result.errors:
            text = error.stacktrace or error.message
            self._add(file, _line_of(text, file), f"file {Path(file).name}", [_unread(text)])
        for dag in result.dags:
            self._dag(dag, making)

    def note(self, task: Any, place: Place, found: Iterable[Refusal]) -> None:
        """Keep what speaks against a task."""
        name = str(getattr(task, "task_id", ""))
        file, called = place or (self._current, None)
        for refusal in found:
            argument = refusal.argument or _ARGUMENTS.get(refusal.rule, "")
            self._add(file, line(file, called, name.rpartition(".")[2], argument), f"task {name}", [refusal])

    def _dag(self, dag: Any, making: Making) -> None:
        other = self._dags.setdefault(dag.dag_id, self._current)
        if other != self._current:
            twice = Refusal(
                "import", f"The DAG {dag.dag_id!r} is in {Path(other).name} as well", "give one another id."
            )
            self._add(self._current, 1, f"DAG {dag.dag_id}", [twice])
        try:
            dag.validate()
            dag.check_cycle()
        except Exception as error:  # Airflow raises whatever a broken DAG runs into, and would not load it
            self._add(self._current, 1, f"DAG {dag.dag_id}", [_unread(str(error))])
        for task in dag.tasks:
            if id(task) not in making.unfinished:
                self._task(task, making.places.get(id(task)))

    def _task(self, task: Any, place: Place) -> None:
        try:
            settings.task_policy(task)  # type: ignore[no-untyped-call]
            for one in _mapped(task):
                task.unmap(one)
        except AirflowClusterPolicyViolation as error:
            self.note(task, place, reasons(error.__context__ or error))

    def _add(self, file: str, number: int, what: str, refusals: Iterable[Refusal]) -> None:
        name = str(Path(file).relative_to(self._root)) if Path(file).is_relative_to(self._root) else file
        self.found.extend(Located(name, number, finding(refusal, what)) for refusal in refusals)


def _mapped(task: Any) -> list[dict[str, Any]]:
    """The arguments of the pods of a mapped TeamPodOperator, where the file says them; each is judged when made."""
    kind = getattr(task, "operator_class", None)
    value = getattr(getattr(task, "expand_input", None), "value", None)
    if kind is None or not issubclass(kind, TeamPodOperator) or not isinstance(value, Mapping):
        return []
    if not all(isinstance(each, list | tuple) for each in value.values()):
        return []
    longest = max((len(each) for each in value.values()), default=0)
    return [
        {name: each[min(number, len(each) - 1)] for name, each in value.items()}
        for number in range(min(longest, _MOST_MAPPED))
    ]


def _unread(text: str) -> Refusal:
    last = text.strip().splitlines()[-1] if text.strip() else "it ended without a word"
    return Refusal("import", f"Airflow would not load it ({last})")


def _line_of(text: str, file: str) -> int:
    """The last line of the file that a traceback names."""
    lines = re.findall(rf'File "{re.escape(file)}", line (\d+)', text)
    return int(lines[-1]) if lines else 1
