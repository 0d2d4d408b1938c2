"""The main job: a DAG is dropped, runs in a team's pod, and its result comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from common.errors import ScriptError
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi, NotFoundError
from stack.git_push import push
from stack.pod_watch import WATCH_LOG, watch_pods
from stack.release import Stack

DAG = "hello_team"


@dataclass(frozen=True)
class SampleRun:
    """What ran where, as Airflow and Kubernetes tell it.

    Attributes:
        run: the run's id.
        state: its state in Airflow.
        log: the log of the task that ran the pod.
        xcom: what the pod returned.
        pod: the pod, as it was last seen.
    """

    run: str
    state: str
    log: str
    xcom: Any
    pod: dict[str, Any]


def connect(stack: Stack) -> AirflowApi:
    """Sign in to the Airflow of a stack as its administrator."""
    published = stack.contract()["airflow"]
    admin = stack.secret(published["adminSecret"])
    service = published["apiService"]
    return AirflowApi(stack.address_of(service["name"]) + service["path"], admin["username"], admin["password"])


def run_sample(steps: Steps, stack: Stack, airflow: AirflowApi) -> SampleRun:
    """Drop the sample DAG into team alpha's folder, run it, and read back what happened.

    Raises:
        ScriptError: the run failed, or git, Airflow or the cluster did not do its part in time.
    """
    sample = (REPOSITORY / "dags" / f"{DAG}.py").read_text(encoding="utf-8")
    with steps.step("git push: drop dags/hello_team.py into team alpha's folder"):
        url = f"git://{stack.address_of('git-server', 'git')}/alpha.git"
        commit = push(url, {f"{DAG}.py": sample}, "Say hello")
    with steps.step("Wait until Airflow has read the DAG"):
        airflow.wait_for_version(DAG, commit)
    with steps.step("Run the DAG"), watch_pods(stack) as seen:
        run = airflow.trigger(DAG)
        state = airflow.wait_for_run(DAG, run)
        log = airflow.log(DAG, run, "hello")
        if state != "success":
            raise ScriptError(f"The run {run} of {DAG} ended as {state}; the log of its task hello:\n{log}")
        name = airflow.xcom(DAG, run, "hello", "pod_name")
        pod = wait_for(f"Kubernetes to show pod {name}", lambda: _only(seen.named(name)), deadline_s=10)
    return SampleRun(run, state, log, _xcom(airflow, run), pod)


def _xcom(airflow: AirflowApi, run: str) -> Any:
    """Give what the pod returned, or nothing: the sample may have been changed."""
    try:
        return airflow.xcom(DAG, run, "hello")
    except NotFoundError:
        return None


def _only(pods: list[dict[str, Any]]) -> dict[str, Any]:
    if len(pods) != 1:
        raise NotYet(f"{len(pods)} pods of that name (kubectl's complaints, if any: {WATCH_LOG})")
    return pods[0]
