"""Two tasks that write logs: one waits for its pod in the worker, the other is deferred."""

from __future__ import annotations

from cluster.support.airflow_runs.dag_run import Run
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.release import Stack

MODES = ("sync", "deferred")

_DAG = """# {note}
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

for name, deferrable in {{"sync": False, "deferred": True}}.items():
    with DAG(f"{prefix}_{{name}}", schedule=None):
        TeamPodOperator(
            task_id="work", image="busybox:1.35", cmds=["sh", "-c", f"echo a line of the {{name}} one; sleep 5"],
            deferrable=deferrable, defer_after=0, do_xcom_push=False,
        )
"""


def run_logging_dags(stack: Stack, airflow: AirflowApi, prefix: str, note: str) -> dict[str, Run]:
    """Run both DAGs to their end.

    Their ids start with the prefix; the note makes the file unique.
    """
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    commit = push_files(url, {f"{prefix}.py": _DAG.format(prefix=prefix, note=note)}, "Add two DAGs that write logs")
    runs = {}
    for mode in MODES:
        airflow.wait_for_version(f"{prefix}_{mode}", commit)
        runs[mode] = Run(stack, airflow, f"{prefix}_{mode}", airflow.trigger_run(f"{prefix}_{mode}"))
    for run in runs.values():
        assert run.wait_for_end() == "success", run.read_log()
    return runs
