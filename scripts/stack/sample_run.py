"""A run of the sample DAG: push it, run it in a team's pod, and read its log and result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.errors import ScriptError
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi, NotFoundError
from stack.git_push import push_files
from stack.pod_watch import WATCH_LOG, watch_pods
from stack.release import Stack

DAG = "hello_team"


@dataclass(frozen=True)
class SampleRun:
    """The result of a run, read from Airflow and Kubernetes.

    Attributes:
        run: the run's id.
        state: its state in Airflow.
        log: the log of the pod's task.
        xcom: the XCom value of the pod.
        pod: the last observed state of the pod.
    """

    run: str
    state: str
    log: str
    xcom: Any
    pod: dict[str, Any]


def connect_airflow(stack: Stack) -> AirflowApi:
    """Return a client of the stack's Airflow, logged in as administrator."""
    contract = stack.read_contract()["airflow"]
    admin = stack.read_secret(contract["adminSecret"])
    service = contract["apiService"]
    return AirflowApi(stack.service_address(service["name"]) + service["path"], admin["username"], admin["password"])


def run_sample(steps: Steps, stack: Stack, airflow: AirflowApi) -> SampleRun:
    """Push the sample DAG to team alpha's repository, run it and return the result.

    Raises:
        ScriptError: the run failed, or git, Airflow or the cluster timed out.
    """
    sample = (REPOSITORY / "dags" / f"{DAG}.py").read_text(encoding="utf-8")
    with steps.step("git push: add dags/hello_team.py to team alpha's repository"):
        url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
        commit = push_files(url, {f"{DAG}.py": sample}, "Add the sample DAG")
    with steps.step("Wait for Airflow to load the DAG"):
        airflow.wait_for_version(DAG, commit)
    with steps.step("Run the DAG"), watch_pods(stack) as observed_pods:
        run = airflow.trigger_run(DAG)
        state = airflow.wait_for_run(DAG, run)
        log = airflow.read_log(DAG, run, "hello")
        if state != "success":
            raise ScriptError(f"Run {run} of {DAG} ended with state {state}. Log of its task hello:\n{log}")
        name = airflow.read_xcom(DAG, run, "hello", "pod_name")
        pod = wait_for(
            f"Kubernetes to show pod {name}", lambda: _get_single(observed_pods.with_name(name)), deadline_s=10
        )
    return SampleRun(run, state, log, _read_xcom(airflow, run), pod)


def _read_xcom(airflow: AirflowApi, run: str) -> Any:
    """Return the pod's XCom value, or None: users may have changed the sample."""
    try:
        return airflow.read_xcom(DAG, run, "hello")
    except NotFoundError:
        return None


def _get_single(pods: list[dict[str, Any]]) -> dict[str, Any]:
    if len(pods) != 1:
        raise NotYet(f"{len(pods)} pods with that name (errors of kubectl: {WATCH_LOG})")
    return pods[0]
