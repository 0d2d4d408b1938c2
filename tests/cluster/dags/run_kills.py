"""Tasks of group `run-kills`: each is killed once at a phase of its run, and must do its work once."""

import signal
import time
from datetime import timedelta
from itertools import product
from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

COPIES = 2
ENGINE = "team"  # the benchmark of the stock operator replaces the word
PHASES = {
    "sync": ("before", "creating", "created", "pending", "running", "log", "result", "deleting", "deleted"),
    "deferred": ("before", "creating", "created", "reentry", "log", "result", "deleting", "deleted"),
}
PROGRAM = """
note() { mkdir -p /data/ledger; echo "$TASK $TRY $POD_UID $1" >> "/data/ledger/$RUN"; }
trap 'note term; exit 143' TERM
note start
for number in $(seq 20); do echo "line $number"; sleep 0.5 & wait $!; done
[ ! -d /airflow/xcom ] || echo '{"lines": 20}' >/airflow/xcom/return.json
note end
"""
RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
CONTAINER = {"name": "base", "env": [{"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]}
SLOW_START = {
    "name": "slow-start",
    "image": "localhost/kpo-platform/busybox:1.35",
    "command": ["sleep", "10"],
    "resources": RESOURCES,
}


def wait_for_signal(_: Any) -> None:
    """Wait for SIGTERM, and a second longer: the operator's code begins after the signal."""
    handle, signals = signal.getsignal(signal.SIGTERM), []

    def record(number: int, frame: Any) -> None:
        signals.append(number)
        if callable(handle):
            handle(number, frame)

    signal.signal(signal.SIGTERM, record)
    end = time.monotonic() + 20
    while not signals and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(1)
    signal.signal(signal.SIGTERM, handle)


def define_task(kind: str, phase: str, kill: str, copy: int) -> None:
    spec = {"containers": [CONTAINER], **({"initContainers": [SLOW_START]} if phase == "pending" else {})}
    TeamPodOperator(
        task_id=f"{kind}-{phase}-{kill}-{copy}",
        image="busybox:1.35",
        cmds=["sh", "-c", PROGRAM],
        env_vars={"RUN": "{{ run_id }}", "TASK": "{{ ti.task_id }}", "TRY": "{{ ti.try_number }}"},
        pod_override={"spec": spec},
        kubernetes_conn_id="alpha_faults",
        container_resources=RESOURCES,
        deferrable=kind == "deferred",
        defer_after=0,
        retries=3,
        retry_delay=timedelta(seconds=1),
        on_finish_action="delete_pod",
        do_xcom_push=phase == "result",
        **({"pre_execute": wait_for_signal} if phase == "before" else {}),
        **({} if ENGINE == "team" else {"engine": ENGINE}),
    )


PREFIX = "run" if ENGINE == "team" else "stockrun"

with DAG(f"{PREFIX}_kills", schedule=None, max_active_tasks=16, default_args={"team": "alpha"}):
    for copy in range(COPIES):
        for kind, phases in PHASES.items():
            for phase, kill in product(phases, ("TERM", "KILL")):
                define_task(kind, phase, kill, copy)
