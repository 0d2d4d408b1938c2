"""The main job on a local cluster: bring everything up, run a DAG, and say what ran where."""

from __future__ import annotations

import time

from common.paths import REPOSITORY, cache_path
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_stack
from stack.release import NAMESPACE, Stack
from stack.sample_run import SampleRun, connect, run_sample


def main() -> int:
    """Install the stack, run the sample DAG and print the report.

    Raises:
        ScriptError: a step could not be completed, or the DAG failed.
    """
    steps, began = Steps(), time.monotonic()
    try:
        stack = install_stack(steps)
        airflow = connect(stack)
        ran = run_sample(steps, stack, airflow)
    finally:
        steps.save(cache_path("results", "quickstart-steps.json"))
    print(report(stack, airflow, ran, time.monotonic() - began))
    return 0


def report(stack: Stack, airflow: AirflowApi, ran: SampleRun, seconds: float) -> str:
    """Say what ran where and what to do next."""
    metadata, spec = ran.pod["metadata"], ran.pod["spec"]
    admin = stack.contract()["airflow"]["adminSecret"]
    said = next((line for line in ran.log.splitlines() if "[base]" in line), "(it wrote none)")
    return f"""
What ran, read back from Airflow and Kubernetes ({seconds:.0f} s in all):
  run              {ran.run}: {ran.state}
  pod              {metadata["name"]} (uid {metadata["uid"]})
  namespace        {metadata["namespace"]}
  service account  {spec["serviceAccountName"]}
  image            {spec["containers"][0]["image"]}
  node             {spec["nodeName"]}
  its log          {said.strip()}
  its XCom         {ran.xcom}

Airflow's UI:  http://{airflow.address}   (user {airflow.username})

In this shell, first:
  export KUBECONFIG={stack.kubeconfig} PATH={stack.programs}:{REPOSITORY}/.venv/bin:$PATH

  kubectl -n {NAMESPACE} get secret {admin} -o jsonpath='{{.data.password}}' | base64 -d    # the UI's password

Try next:
  1. Change dags/hello_team.py and run scripts/quickstart again: the new version runs in a minute.
  2. platformctl teams show alpha                 # what a team has
  3. kubectl -n {metadata["namespace"]} get pods --watch      # a team's pods, while a DAG runs

Take all down:  scripts/cluster down
"""
