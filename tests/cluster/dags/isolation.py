"""Tasks of group `isolation`: team TEAM uses things of team OTHER, with its own token and through the SDK.

The tests also push this file with the two teams exchanged.
"""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.sdk import DAG, Asset, AssetAlias, BaseHook, Variable, get_current_context, task
from own_token import open_client

TEAM, OTHER = "alpha", "beta"

log = logging.getLogger(__name__)

BODY_CHARACTERS = 2000
"""Characters of a response that a task returns."""


def send(client: Any, request: dict[str, Any], version: str | None) -> dict[str, Any]:
    """Send a request as one version of the API."""
    headers = {"Airflow-API-Version": version} if version else {}
    response = client.request(
        request["method"], request["path"], params=request.get("params"), json=request.get("body"), headers=headers
    )
    return {"status": response.status_code, "body": response.text[:BODY_CHARACTERS]}


def describe_parsing() -> str:
    """Describe whether the file can read a variable of the other team while it is parsed."""
    try:
        Variable.get(f"{OTHER}_key")
    except Exception as error:
        return type(error).__name__
    return "read"


with DAG(f"isolation_{TEAM}_target", schedule=None, description=describe_parsing()):

    @task(outlets=[AssetAlias(f"{TEAM}_alias")])
    def work() -> str:
        """Return a value that no other team may read."""
        get_current_context()["ti"].xcom_push("secret", f"secret of {TEAM}")
        return f"secret of {TEAM}"

    work()

with DAG(f"isolation_{TEAM}_listener", schedule=[Asset(f"{TEAM}_asset")]):

    @task
    def listen() -> None:
        """Do nothing."""

    listen()

with DAG(f"isolation_{TEAM}_requests", schedule=None):

    @task(retries=0)
    def send_all() -> dict[str, Any]:
        """Send the requests in `conf` as every version of the API in `conf`."""
        settings = get_current_context()["dag_run"].conf
        client = open_client()
        sent = {
            version: [send(client, entry, version) for entry in settings["requests"]]
            for version in settings["versions"]
        }
        return {"newest": [send(client, entry, None) for entry in settings["requests"]], **sent}

    send_all()

with DAG(f"isolation_{TEAM}_forged_outlet", schedule=None):

    @task(retries=0)
    def forge() -> None:
        """Report success with an asset of the other team among the outlets, and end without another report."""
        asset = {"name": f"{OTHER}_asset", "uri": f"{OTHER}_asset", "type": "Asset"}
        body = {
            "state": "success",
            "end_date": datetime.now(UTC).isoformat(),
            "task_outlets": [asset],
            "outlet_events": [],
        }
        response = open_client().patch(f"/task-instances/{get_current_context()['ti'].id}/state", json=body)
        log.info("The API server responded with %s %s", response.status_code, response.text)
        logging.shutdown()
        os._exit(0)

    forge()

with DAG(f"isolation_{TEAM}_sdk", schedule=None, default_args={"retries": 0}):

    @task
    def connection() -> str | None:
        """Read a connection."""
        return BaseHook.get_connection(f"{OTHER}_db").password

    @task
    def variable() -> str:
        """Read a variable."""
        return str(Variable.get(f"{OTHER}_key"))

    @task
    def write_variable() -> None:
        """Change a variable."""
        Variable.set(f"{OTHER}_key", "changed")

    @task
    def xcom() -> Any:
        """Read an XCom of the run in `conf`."""
        context = get_current_context()
        return context["ti"].xcom_pull(
            dag_id=f"isolation_{OTHER}_target", task_ids="work", run_id=context["dag_run"].conf["run"]
        )

    @task(outlets=[Asset(f"{OTHER}_asset")])
    def outlet() -> None:
        """Update an asset."""

    @task
    def own() -> str:
        """Use things of the own team and shared ones."""
        Variable.set(f"{TEAM}_written", "1")
        Variable.set("isolation_shared_written", "1")
        values = [Variable.get(f"{TEAM}_key"), Variable.get(f"{TEAM}_written"), Variable.get("isolation_shared")]
        values += [BaseHook.get_connection(name).password for name in (f"{TEAM}_db", "isolation_shared")]
        return json.dumps(values)

    @task(outlets=[Asset(f"{TEAM}_asset")])
    def own_outlet() -> None:
        """Update an asset of the own team."""

    connection(), variable(), write_variable(), xcom(), outlet(), own(), own_outlet()
    TriggerDagRunOperator(task_id="trigger", trigger_dag_id=f"isolation_{OTHER}_target", trigger_run_id="{{ run_id }}")
    TriggerDagRunOperator(
        task_id="own_trigger", trigger_dag_id=f"isolation_{TEAM}_target", wait_for_completion=True, poke_interval=5
    )
    ExternalTaskSensor(
        task_id="sensor",
        external_dag_id=f"isolation_{OTHER}_target",
        external_task_id="work",
        execution_date_fn=lambda _, dag_run: datetime.fromisoformat(dag_run.conf["logical_date"]),
        poke_interval=5,
        timeout=60,
    )
