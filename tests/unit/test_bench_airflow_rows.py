"""The program of `scripts/bench deferred` that loads deferred tasks into Airflow's database."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.deferred.load.airflow_rows import load
from unit.support.airflow_database import AirflowDatabase

PATH = "kpo_platform.airflow.triggers.team_pod.TeamPodTrigger"


def order(*indexes: int) -> dict[str, Any]:
    copies = [{"index": index, "names": {"model-pod": f"pod-{index}"}} for index in indexes]
    return {"dag": "many", "model_run": "bundle-dag.py", "run": "loaded", "copies": copies}


def read_copies() -> dict[int, tuple[Any, ...]]:
    """Return the run, state, arguments of the method and of the trigger, and the trigger's owner by map index."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        found = {}
        for task in session.scalars(select(TaskInstance)):
            trigger = task.trigger_id and session.get(Trigger, task.trigger_id)
            arguments = trigger and (trigger.classpath, trigger.kwargs, trigger.triggerer_id)
            found[task.map_index] = (task.run_id, task.state, arguments)
        return found


@pytest.mark.parametrize("is_encrypted", [True, False])
def test_copies_are_deferred_with_triggers_of_their_own_and_the_model_is_ended(
    is_encrypted: bool, airflow_database: AirflowDatabase
):
    airflow_database.add_dag("many", "bundle")
    airflow_database.defer("many", PATH, {"pod_name": "model-pod"})
    if not is_encrypted:
        store_plainly('{"pod_name": "model-pod"}')
    assert load(order(0, 1)) == 2
    assert read_copies() == {
        -1: ("bundle-dag.py", "failed", None),
        0: ("loaded", "deferred", (PATH, {"pod_name": "pod-0"}, None)),
        1: ("loaded", "deferred", (PATH, {"pod_name": "pod-1"}, None)),
    }


def store_plainly(arguments: str) -> None:
    """Store the arguments of the only trigger without encryption."""
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import update

    with create_session() as session:
        session.execute(update(Trigger).values(encrypted_kwargs=arguments))
