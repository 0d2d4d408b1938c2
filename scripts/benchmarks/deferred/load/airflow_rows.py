"""Load deferred tasks into Airflow's database: copies of one that Airflow itself has deferred.

This program runs in a pod of Airflow. It reads its orders as JSON from stdin, see `load`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any

Row = dict[str, Any]


def replace_names(text: str, names: Mapping[str, str]) -> str:
    """Replace the names of the model by those of a copy."""
    for old, new in names.items():
        text = text.replace(old, new)
    return text


def load(order: Mapping[str, Any]) -> int:
    """Copy the model's task instance and trigger, and end the model; return the number of copies.

    Args:
        order: `dag` and `model_run`, which name the model's only task instance; `run`, the run of the copies; and
            `copies`: for each its map index, and what replaces which word of the model's trigger.
    """
    from airflow.models.crypto import get_fernet
    from airflow.models.dagrun import DagRun
    from airflow.models.taskinstance import TaskInstance, uuid7
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import insert, select, update

    instances, runs, triggers = TaskInstance.__table__, DagRun.__table__, Trigger.__table__
    with create_session() as session:

        def read(table: Any, **columns: Any) -> Row:
            conditions = [table.c[name] == value for name, value in columns.items()]
            return dict(session.execute(select(table).where(*conditions)).mappings().one())

        run = read(runs, dag_id=order["dag"], run_id=order["model_run"])
        model = read(instances, dag_id=order["dag"], run_id=order["model_run"])
        trigger = read(triggers, id=model["trigger_id"])
        is_plain = trigger["kwargs"].startswith("{")  # as by a worker; its form stays as it has written it
        arguments = trigger["kwargs"] if is_plain else get_fernet().decrypt(trigger["kwargs"].encode()).decode()

        def copy_trigger(names: Mapping[str, str]) -> Row:
            copied = replace_names(arguments, names)
            stored = copied if is_plain else get_fernet().encrypt(copied.encode()).decode()
            return {**trigger, "id": None, "triggerer_id": None, "kwargs": stored}

        def copy_instance(index: int, names: Mapping[str, str], trigger_id: int) -> Row:
            kwargs = json.loads(replace_names(json.dumps(model["next_kwargs"]), names))
            own = {"run_id": order["run"], "map_index": index, "trigger_id": trigger_id, "next_kwargs": kwargs}
            return {**model, "id": uuid7(), **own}

        def drop_id(row: Row) -> Row:
            return {name: value for name, value in row.items() if name != "id"}

        copies = order["copies"]
        new_triggers = [drop_id(copy_trigger(copy["names"])) for copy in copies]
        returning = insert(triggers).returning(triggers.c.id, sort_by_parameter_order=True)
        ids = session.execute(returning, new_triggers).scalars().all()
        session.execute(insert(runs), [drop_id({**run, "run_id": order["run"]})])
        new = [copy_instance(copy["index"], copy["names"], each) for copy, each in zip(copies, ids, strict=True)]
        session.execute(insert(instances), new)
        # Airflow then ends the model's trigger, which deletes the model's pod.
        ended = update(instances).where(instances.c.id == model["id"])
        session.execute(ended.values(state="failed", trigger_id=None))
    return len(new)


if __name__ == "__main__":
    print(json.dumps({"loaded": load(json.load(sys.stdin))}))
