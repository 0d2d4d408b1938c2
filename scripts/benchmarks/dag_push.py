"""Duration from `git push` until Airflow uses the pushed version."""

from __future__ import annotations

import random
import time
from typing import Any

from common.steps import Steps
from stack.git_push import push_files
from stack.install import install_stack
from stack.sample_run import connect_airflow

_RUNS = 10
_DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("bench_push", schedule=None, tags=["{tag}"]):
    TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["true"], do_xcom_push=False)
"""


def measure(steps: Steps) -> dict[str, Any]:
    """Push several versions of a DAG, and wait each time until Airflow's API shows it.

    Args:
        steps: receives the progress.
    """
    stack = install_stack(steps)
    airflow = connect_airflow(stack)
    url = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    interval = stack.read_contract()["teams"]["alpha"]["dags"]["refreshInterval"]
    seconds = []
    for number in range(1 + _RUNS):
        with steps.step(f"push {number} of {_RUNS}"):
            # Start at a random time within the refresh interval: the previous push ended right after a refresh.
            time.sleep(random.uniform(0, interval))
            commit = push_files(url, {"bench_push.py": _DAG.format(tag=f"{number}-{time.time_ns()}")}, "Measure a push")
            start = time.monotonic()
            airflow.wait_for_version("bench_push", commit, deadline_s=300)
            seconds.append(time.monotonic() - start)
    first, *rest = seconds
    ordered = sorted(round(duration, 1) for duration in rest)
    return {
        "title": "From git push to Airflow",
        "text": "Seconds from the end of a `git push` until Airflow's API, polled once per second, shows the DAG at "
        f"that commit, which new runs then use. The team's `dags.refreshInterval` is {interval} s; {_RUNS} pushes, "
        "each at a random time within the interval. The first push, of a new DAG, is listed separately.",
        "columns": ["new DAG", "change, minimum", "median", "maximum"],
        "rows": [[round(first, 1), ordered[0], ordered[len(ordered) // 2], ordered[-1]]],
    }
