"""DAG files of tests and benchmarks, run as Airflow runs them."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG


def run_dag_file(text: str, name: str = "dag_file.py") -> dict[str, DAG]:
    """Run the text of a DAG file; return its DAGs by id."""
    dags: dict[str, DAG] = {}
    enter = DAG.__enter__

    def record(dag: DAG) -> DAG:
        dags[dag.dag_id] = dag
        return enter(dag)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DAG, "__enter__", record)
        exec(compile(text, name, "exec"), {"__name__": "dag_file"})
    return dags
