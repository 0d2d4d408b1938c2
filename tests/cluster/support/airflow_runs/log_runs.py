"""Two tasks that say something in their logs: one waits for its pod in its own process, the other is deferred."""

from __future__ import annotations

from cluster.support.airflow_runs.dag_run import Run
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.release import Stack

WAYS = ("sync", "deferred")

_DAG = """# {note}
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

for name, deferrable in {{"sync": False, "deferred": True}}.items():
    with DAG(f"{prefix}_{{name}}", schedule=None):
        TeamPodOperator(
            task_id="work", image="busybox:1.35", cmds=["sh", "-c", f"echo a line of the {{name}} one; sleep 5"],
            deferrable=deferrable, do_xcom_push=False,
        )
"""


def two_runs(stack: Stack, airflow: AirflowApi, prefix: str, note: str) -> dict[str, Run]:
    """Run both to their end; the DAGs' names begin with the prefix, and the note makes their file another one."""
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    commit = push_files(url, {f"{prefix}.py": _DAG.format(prefix=prefix, note=note)}, "Two DAGs with something to say")
    made = {}
    for way in WAYS:
        airflow.wait_for_version(f"{prefix}_{way}", commit)
        made[way] = Run(stack, airflow, f"{prefix}_{way}", airflow.trigger_run(f"{prefix}_{way}"))
    for run in made.values():
        assert run.end() == "success", run.read_log()
    return made
