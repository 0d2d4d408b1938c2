"""Where a DAG comes from, and its team."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.contract import Contract
from kpo_platform.pod.rules.ownership import find_team_of_bundle

CONFLICT_FIX = "Rename one of them."
"""What to do about `TaskOrigin.find_conflict`."""


@dataclass(frozen=True)
class Origin:
    """A bundle and the DAG file in it, relative to the bundle's root; each is None if it is not known."""

    bundle: str | None = None
    file: str | None = None

    def find_team(self, contract: Contract) -> str | None:
        """Find the team that owns a DAG of this origin; None if no team does."""
        return find_team_of_bundle(self.bundle, self.file, contract)


@dataclass(frozen=True)
class TaskOrigin:
    """The origin of a task.

    Attributes:
        dag: the origin of the task's DAG version.
        dag_id: the task's DAG; None for a callback of no DAG.
        run_id: the task's run; None for a callback.
        others: the origins of all DAGs of this id whose code the task may run. The scheduler gives unfinished tasks,
            also running ones, the latest version, and starts a task from the file that was parsed last (3.3,
            jobs/scheduler_job_runner.py, executors/workloads/task.py).
    """

    dag: Origin
    dag_id: str | None = None
    run_id: str | None = None
    others: frozenset[Origin] = frozenset()

    def find_conflict(self, contract: Contract) -> str | None:
        """Describe, as a clause, that DAGs of several teams have the id, so the task's team is unknown; None if not."""
        teams = {origin.find_team(contract) for origin in (self.dag, *self.others)}
        if len(teams) == 1:
            return None
        named = sorted(filter(None, teams))
        owners = f"team{'s' if len(named) > 1 else ''} {' and '.join(map(repr, named))}"
        return f"DAG {self.dag_id!r} exists in the bundles of {owners}{' and of no team' if None in teams else ''}"
