"""Tasks whose pods the tests of group `operator` stop, evict, keep and make wait."""

import os
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

ENDS_AT_ONCE = "trap 'exit 143' TERM; "
RUN_A_WHILE = ENDS_AT_ONCE + "echo started; sleep 20 & wait $!; echo finished"
RUN_ON = ENDS_AT_ONCE + "echo evidence; sleep 300 & wait $!"


def tell_process(context: Any) -> None:
    context["ti"].xcom_push(key="process", value=os.getpid())


def one_task(name: str, script: str, **arguments: Any) -> None:
    with DAG(f"pods_{name}", schedule=None, default_args={"owner": "data team"}):
        TeamPodOperator(task_id="work", image="busybox:1.35", cmds=["sh", "-c", script], **arguments)


SLOT = {"kpo-platform.test/slot": "1"}
"""Something of which the node has one, while the test wants it to."""

one_task("marks", "env | sort; test $KPO_TRY_NUMBER = 2", retries=1, retry_delay=timedelta(seconds=1))
one_task("keeps", "echo evidence; exit 3", on_finish_action="delete_succeeded_pod")
one_task(
    "filled",
    "head -c 30000000 /dev/zero > /scratch/all; sleep 280",
    volumes=[{"name": "scratch", "emptyDir": {"sizeLimit": "5Mi"}}],
    volume_mounts=[{"name": "scratch", "mountPath": "/scratch"}],
)
for deferrable, kind in ((True, "deferrable"), (False, "sync")):
    arguments = {"deferrable": deferrable, "pre_execute": tell_process, "on_finish_action": "keep_pod"}
    one_task(f"evicted_{kind}", RUN_A_WHILE, deferrable=deferrable)
    one_task(
        f"preempted_{kind}",
        RUN_A_WHILE,
        deferrable=deferrable,
        container_resources={"requests": SLOT, "limits": SLOT},
    )
    one_task(f"shutdown_{kind}", RUN_A_WHILE, **arguments)
    one_task(f"stopped_{kind}", RUN_ON, deferrable=deferrable)
    one_task(f"outlives_{kind}", RUN_ON, deferrable=deferrable, on_kill_action="keep_pod")
    one_task(f"late_{kind}", RUN_ON, **arguments, execution_timeout=timedelta(seconds=15))
    one_task(f"full_{kind}", "echo ran", deferrable=deferrable)
    one_task(f"too_full_{kind}", "echo ran", deferrable=deferrable, schedule_timeout_seconds=3)
