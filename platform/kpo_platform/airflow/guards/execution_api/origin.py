"""Where a DAG comes from, and its team."""

from __future__ import annotations

from dataclasses import dataclass

from kpo_platform.airflow.guards.teams import find_team_of_bundle
from kpo_platform.contract import Contract


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
        dag: the origin of the task's DAG version, which another DAG of the same id does not change.
        dag_id: the task's DAG; None for a callback.
        run_id: the task's run; None for a callback.
        run: the origin of the DAG version that the run began with.
    """

    dag: Origin
    dag_id: str | None = None
    run_id: str | None = None
    run: Origin = Origin()
