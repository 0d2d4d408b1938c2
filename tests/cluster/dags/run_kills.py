"""Tasks of group `run-kills`: each is killed once at a phase of its run, and must do its work once."""

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

ENGINE = "team"  # the benchmark of the stock operator replaces the word
PHASES = {
    "sync": ("before", "creating", "created", "pending", "running", "log", "deleting", "deleted"),
    "deferred": ("before", "creating", "created", "reentry", "log", "deleting", "deleted"),
}
PROGRAM = """
note() { mkdir -p /data/ledger; echo "$TASK $TRY $POD_UID $1" >> "/data/ledger/$RUN"; }
trap 'note term; exit 143' TERM
note start
for number in $(seq 20); do echo "line $number"; sleep 0.5 & wait $!; done
note end
"""
CONTAINER = {"name": "base", "env": [{"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}]}
SLOW_START = {
    "name": "slow-start",
    "image": "localhost/kpo-platform/busybox:1.35",
    "command": ["sleep", "10"],
    "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "100m", "memory": "32Mi"}},
}


def wait_before_execute(_: Any) -> None:
    time.sleep(6)


def define_task(kind: str, phase: str, signal: str) -> None:
    spec = {"containers": [CONTAINER], **({"initContainers": [SLOW_START]} if phase == "pending" else {})}
    TeamPodOperator(
        task_id=f"{kind}-{phase}-{signal}",
        image="busybox:1.35",
        cmds=["sh", "-c", PROGRAM],
        env_vars={"RUN": "{{ run_id }}", "TASK": "{{ ti.task_id }}", "TRY": "{{ ti.try_number }}"},
        pod_override={"spec": spec},
        kubernetes_conn_id="alpha_faults",
        deferrable=kind == "deferred",
        retries=3,
        retry_delay=timedelta(seconds=1),
        on_finish_action="delete_pod",
        **({"pre_execute": wait_before_execute} if phase == "before" else {}),
        **({} if ENGINE == "team" else {"engine": ENGINE}),
    )


PREFIX = "run" if ENGINE == "team" else "stockrun"

with DAG(f"{PREFIX}_kills", schedule=None, max_active_tasks=10, default_args={"team": "alpha"}):
    for kind, phases in PHASES.items():
        for phase in phases:
            for signal in ("TERM", "KILL"):
                define_task(kind, phase, signal)
