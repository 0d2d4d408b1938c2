"""Tasks of group `run`: their programs write a ledger on the team's volume, their requests pass the fault proxy."""

import signal
import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, get_parsing_context

from kpo_platform import TeamPodOperator

ENGINE = "team"  # the benchmark of the stock operator replaces the word
KINDS = {"sync": False, "deferred": True}
BOTH = tuple(KINDS)

PROGRAM = """
note() { mkdir -p /data/ledger; echo "$TASK $TRY $POD_UID $1" >> "/data/ledger/$RUN"; }
rest() { sleep "$1" & wait $!; }
trap 'note term; exit 143' TERM
note start
"""
EXIT_0_ON_TERM = "trap 'note term; sleep 8; exit 0' TERM; "
LOG = 'for number in $(seq 100 300); do echo "line $number"; rest 0.05; done; '
OPEN = "kpo-platform.test/open-"
"""The prefix of the node's labels with which the pods of the DAGs `refused_…` can run."""

RESOURCES = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}
POD_UID = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
BUSYBOX = {"image": "localhost/kpo-platform/busybox:1.35", "resources": RESOURCES}
SIDECAR = {"name": "endless", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 900 & wait $!"], **BUSYBOX}
SLOW_INIT = {"name": "slow", "command": ["sh", "-c", "echo an early line; sleep 45; echo a late line"], **BUSYBOX}
REASONS = ("OutOfcpu", "OutOfmemory", "OutOfpods", "UnexpectedAdmissionError", "NodeAffinity", "Preempting")


def wait_for_signal(_: Any) -> None:
    """Wait for SIGTERM, and a second longer: the operator's code begins after the signal."""
    handle, signals = signal.getsignal(signal.SIGTERM), []

    def record(number: int, frame: Any) -> None:
        signals.append(number)
        if callable(handle):
            handle(number, frame)

    signal.signal(signal.SIGTERM, record)
    end = time.monotonic() + 60
    while not signals and time.monotonic() < end:
        time.sleep(0.2)
    time.sleep(1)
    signal.signal(signal.SIGTERM, handle)


def rest(seconds: int) -> str:
    return f"rest {seconds}; "


def define_task(name: str, work: str, *, spec: dict[str, Any], deferrable: bool, **arguments: Any) -> None:
    containers = [{"name": "base", "env": [POD_UID]}, *spec.get("containers", [])]
    TeamPodOperator(
        task_id=name,
        image="busybox:1.35",
        cmds=["sh", "-c", PROGRAM + work + "note end"],
        env_vars={"RUN": "{{ run_id }}", "TASK": "{{ ti.task_id }}", "TRY": "{{ ti.try_number }}"},
        pod_override={"spec": {**spec, "containers": containers}},
        kubernetes_conn_id="alpha_faults",
        container_resources=RESOURCES,
        deferrable=deferrable,
        defer_after=0,
        **({} if ENGINE == "team" else {"engine": ENGINE}),
        **{"retries": 0, **arguments},
    )


def define_dag(
    name: str, work: str, *, kinds: tuple[str, ...] = BOTH, spec: dict[str, Any] | None = None, **arguments: Any
) -> None:
    dag_id = f"{'run' if ENGINE == 'team' else 'stockrun'}_{name}"
    if get_parsing_context().dag_id not in (None, dag_id):
        return  # a task's process needs only its own DAG of the many in this file
    with DAG(dag_id, schedule=None, default_args={"team": "alpha"}):
        for kind in kinds:
            define_task(kind, work, spec=spec or {}, deferrable=KINDS[kind], **arguments)


define_dag("cleared", EXIT_0_ON_TERM + rest(30))
define_dag("stopped", rest(60), kinds=("sync",), on_kill_action="keep_pod")
define_dag("ended", rest(30))
define_dag("lost_answer", rest(5))
define_dag("early", rest(60), pre_execute=wait_for_signal)
define_dag("trigger_timeout", rest(300), kinds=("deferred",), execution_timeout=timedelta(seconds=60))
define_dag("sidecar", rest(5), spec={"containers": [SIDECAR]})
define_dag("kept_sidecar", rest(5), spec={"containers": [SIDECAR]}, on_finish_action="keep_pod")
define_dag("cut_log", LOG)
define_dag("whole_log", LOG)
define_dag(
    "init_log", r"printf 'caf\351\n'; ", kinds=("sync",), spec={"initContainers": [SLOW_INIT]}, init_container_logs=True
)
define_dag("collected", "rest 5; exit 3; ", kinds=("deferred",))
define_dag("twin", rest(40), kinds=("sync",))
define_dag("skip_code", rest(40), skip_on_exit_code=143)
define_dag("late_result", rest(300), do_xcom_push=True, execution_timeout=timedelta(seconds=60))
define_dag("bad_result", "echo '{' > /airflow/xcom/return.json; exit 3; ", do_xcom_push=True)
define_dag("forbidden_cleanup", "exit 3; ", on_finish_action="delete_pod")
define_dag("room", rest(1), startup_timeout_seconds=30)
for reason in (*REASONS, "deleted"):
    define_dag(f"refused_{reason.lower()}", rest(3), node_selector={OPEN + reason.lower(): "yes"})
define_dag("outage_short", rest(20) + """echo '{"rows": 3}' > /airflow/xcom/return.json; """, do_xcom_push=True)
define_dag("outage_late", rest(5))
define_dag("outage_long", LOG + rest(60))
