"""scripts/quickstart: install the stack, run the sample DAG, and print the result."""

from __future__ import annotations

import time

from common.paths import REPOSITORY, cache_path
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.install import install_stack
from stack.release import NAMESPACE, Stack
from stack.sample_run import SampleRun, connect_airflow, run_sample


def main() -> int:
    """Install the stack, run the sample DAG and print the report.

    Raises:
        ScriptError: a step failed, or the DAG failed.
    """
    steps, start = Steps(), time.monotonic()
    try:
        stack = install_stack(steps)
        airflow = connect_airflow(stack)
        run = run_sample(steps, stack, airflow)
    finally:
        steps.save(cache_path("results", "quickstart-steps.json"))
    print(render_report(stack, airflow, run, time.monotonic() - start))
    return 0


def render_report(stack: Stack, airflow: AirflowApi, run: SampleRun, seconds: float) -> str:
    """Return a report of the run with next steps."""
    metadata, spec = run.pod["metadata"], run.pod["spec"]
    admin = stack.read_contract()["airflow"]["adminSecret"]
    pod_line = next((line for line in run.log.splitlines() if "[base]" in line), "(none)")
    return f"""
Result, read from Airflow and Kubernetes ({seconds:.0f} s in total):
  run              {run.run}: {run.state}
  pod              {metadata["name"]} (uid {metadata["uid"]})
  namespace        {metadata["namespace"]}
  service account  {spec["serviceAccountName"]}
  image            {spec["containers"][0]["image"]}
  node             {spec["nodeName"]}
  pod's log        {pod_line.strip()}
  pod's XCom       {run.xcom}

Airflow's UI:  http://{airflow.address}   (user {airflow.username})

Before the commands below, run in this shell:
  export KUBECONFIG={stack.kubeconfig} PATH={stack.programs}:{REPOSITORY}/.venv/bin:$PATH

  kubectl -n {NAMESPACE} get secret {admin} -o jsonpath='{{.data.password}}' | base64 -d    # password of the UI

Next steps:
  1. Change dags/hello_team.py and run scripts/quickstart again: Airflow runs the new version within a minute.
  2. platformctl teams show alpha                 # show a team's settings
  3. kubectl -n {metadata["namespace"]} get pods --watch      # watch a team's pods while a DAG runs

Remove everything:  scripts/cluster down
"""
