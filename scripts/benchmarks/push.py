"""How long a DAG's author waits from `git push` until Airflow runs by it."""

from __future__ import annotations

import random
import time
from typing import Any

from common.steps import Steps
from stack.git_push import push
from stack.install import install_stack
from stack.sample_run import connect

_RUNS = 10
_DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("bench_push", schedule=None, tags=["{tag}"]):
    TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["true"], do_xcom_push=False)
"""


def measure(steps: Steps) -> dict[str, Any]:
    """Push one version of a DAG after another, and wait each time until Airflow's API has it.

    Args:
        steps: told about progress.
    """
    stack = install_stack(steps)
    airflow = connect(stack)
    url = f"git://{stack.address_of('git-server', 'git')}/alpha.git"
    interval = stack.contract()["teams"]["alpha"]["dags"]["refreshInterval"]
    seconds = []
    for turn in range(1 + _RUNS):
        with steps.step(f"push {turn} of {_RUNS}"):
            # Airflow looks once in an interval, and the wait before this one ended right after a look.
            time.sleep(random.uniform(0, interval))
            commit = push(url, {"bench_push.py": _DAG.format(tag=f"{turn}-{time.time_ns()}")}, "Measure a push")
            began = time.monotonic()
            airflow.wait_for_version("bench_push", commit, deadline_s=300)
            seconds.append(time.monotonic() - began)
    first, *rest = seconds
    ordered = sorted(round(one, 1) for one in rest)
    return {
        "title": "From git push to Airflow",
        "text": "Seconds from the end of a `git push` until Airflow's API shows the DAG at that commit, which new "
        f"runs then use; looked at once a second. The team's `dags.refreshInterval` is {interval} s; {_RUNS} pushes, "
        "sorted, each at a random moment between two looks. The first push, of a new DAG, stands apart.",
        "columns": ["a new DAG", "a change, fastest", "middle", "slowest"],
        "rows": [[round(first, 1), ordered[0], ordered[len(ordered) // 2], ordered[-1]]],
    }
