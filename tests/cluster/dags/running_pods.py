"""Tasks of group `operator`, whose pods are stopped, evicted, kept and queued."""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

EXIT_ON_TERM = "trap 'exit 143' TERM; "
RUN_A_WHILE = EXIT_ON_TERM + "echo started; sleep 20 & wait $!; echo finished"
RUN_ON = EXIT_ON_TERM + "echo evidence; sleep 300 & wait $!"


def push_process_id(context: Any) -> None:
    context["ti"].xcom_push(key="process", value=os.getpid())


def define_dag(name: str, script: str, **arguments: Any) -> None:
    with DAG(f"pods_{name}", schedule=None, default_args={"owner": "data team"}):
        TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["sh", "-c", script], defer_after=0, **arguments)


SLOT = {"kpo-platform.test/slot": "1"}
"""An extended resource; during the test the node has one unit of it."""

define_dag("marks", "env | sort; test $KPO_TRY_NUMBER = 2", retries=1, retry_delay=timedelta(seconds=1))
define_dag("keeps", "echo evidence; exit 3", on_finish_action="delete_succeeded_pod")
define_dag(
    "filled",
    "head -c 30000000 /dev/zero > /scratch/all; sleep 280",
    volumes=[{"name": "scratch", "emptyDir": {"sizeLimit": "5Mi"}}],
    volume_mounts=[{"name": "scratch", "mountPath": "/scratch"}],
)
for deferrable, kind in ((True, "deferrable"), (False, "sync")):
    arguments = {"deferrable": deferrable, "pre_execute": push_process_id, "on_finish_action": "keep_pod"}
    define_dag(f"evicted_{kind}", RUN_A_WHILE, deferrable=deferrable)
    define_dag(
        f"preempted_{kind}",
        RUN_A_WHILE,
        deferrable=deferrable,
        container_resources={"requests": SLOT, "limits": SLOT},
    )
    define_dag(f"shutdown_{kind}", RUN_A_WHILE, **arguments)
    define_dag(f"stopped_{kind}", RUN_ON, deferrable=deferrable)
    define_dag(f"outlives_{kind}", RUN_ON, deferrable=deferrable, on_kill_action="keep_pod")
    define_dag(f"late_{kind}", RUN_ON, **arguments, execution_timeout=timedelta(seconds=15))
    define_dag(f"full_{kind}", "echo ran", deferrable=deferrable)
    define_dag(f"too_full_{kind}", "echo ran", deferrable=deferrable, schedule_timeout_seconds=3)
