"""Create a database of Airflow with a running task, and print a token and the paths of its requests as JSON.

Runs in `.venv`, which contains Airflow; `benchmarks.execution_api` starts it. The database is that of the integration
tests. Argument: the file of the database.
"""

from __future__ import annotations

import json
import sys
from datetime import timedelta
from pathlib import Path

from airflow.api_fastapi.auth.tokens import JWTGenerator
from airflow.api_fastapi.execution_api.app import _jwt_generator
from airflow.models.xcom import XComModel
from airflow.utils.session import create_session

from integration.support.isolation_database import (  # type: ignore[import-not-found]
    LOGICAL_DATE,
    RUN_ID,
    add_run,
    connect,
    create_database,
)


def main(file: Path) -> None:
    """Print the token of team alpha's task and, for each kind of request, its method, path and body."""
    task_id = create_database(file)["alpha"]
    connect(file)
    with create_session() as session:
        add_run(session, "alpha_dag", "r2", LOGICAL_DATE + timedelta(days=1))
        XComModel.set("k", "v", dag_id="alpha_dag", task_id="t", run_id="r2", session=session)
    requests = {
        "heartbeat": ("PUT", f"/task-instances/{task_id}/heartbeat", {"hostname": "h", "pid": 1}),
        "read a variable": ("GET", "/variables/alpha_key", None),
        "read a connection": ("GET", "/connections/alpha_db", None),
        "write an XCom": ("POST", f"/xcoms/alpha_dag/{RUN_ID}/t/k", "v"),
        "read an XCom of the own run": ("GET", f"/xcoms/alpha_dag/{RUN_ID}/t/k", None),
        "read an XCom of another run": ("GET", "/xcoms/alpha_dag/r2/t/k", None),
        "read the state of a DAG of no team": ("GET", f"/dag-runs/common_dag/{RUN_ID}/state", None),
        "read an asset": ("GET", "/assets/by-name?name=alpha_asset", None),
    }
    generator: JWTGenerator = _jwt_generator()  # type: ignore[no-untyped-call]
    print(json.dumps({"token": generator.generate({"sub": str(task_id)}), "requests": requests}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
