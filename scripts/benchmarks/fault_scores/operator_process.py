"""Execute an operator in a process of its own, with the real API server and without Airflow's services."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from typing import Any

# Imported once in the process that is forked for each task, as Airflow's workers do.
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.sdk import DAG
from airflow.sdk.execution_time.context import set_current_context

from kpo_platform import TeamPodOperator
from kpo_platform.airflow.operators.lifecycle import pod_diagnosis
from kpo_platform.diagnosis.diagnose import Diagnosis
from kpo_platform.diagnosis.reading import diagnose_with
from kpo_platform.offline.render import execute_operator
from kpo_platform.offline.task_instance import DagRunSettings, create_context

Json = dict[str, Any]


def run_operator(request: Json, answers: Connection) -> None:
    """Execute the operator of a request, and send what came of it.

    Args:
        request: `engine`, `team`, `namespace`, `pod` (a v1 Pod), `name`, `arguments`, `connection` (a JSON text),
            `is_diagnosed`, and `longest_s`, the seconds after which a task counts as running.
        answers: takes one dictionary: `state`, `error`, `kind` (of the error), `reasons` (the errors before it),
            `causes` (the last diagnosis), `lines` (time and text), `began_at`, `ended_at`, `pod`.
    """
    os.environ[f"AIRFLOW_CONN_{request['connection_id'].upper()}"] = request["connection"]
    causes = _record_diagnosis(is_diagnosed=request["is_diagnosed"])
    log = _StampedOutput()
    answer: Json = {"began_at": time.time(), "pod": ""}
    longest = threading.Timer(request["longest_s"], lambda: _give_up(answer, log, causes, answers))
    longest.start()
    try:
        operator = _build_operator(request)
        _execute(operator, answer)
    except BaseException as error:
        reasons = [str(each) for each in _list_reasons(error)]
        answer |= {"state": "failed", "error": str(error), "kind": type(error).__name__, "reasons": reasons}
    longest.cancel()
    answer |= {"ended_at": time.time(), "lines": log.close(), "causes": causes}
    answers.send(answer)


def _give_up(answer: Json, log: _StampedOutput, causes: list[Json], answers: Connection) -> None:
    """Send what is known of a task that has not ended, and end the process."""
    error = {"state": "running", "error": "", "kind": ""}
    answers.send({**answer, **error, "ended_at": time.time(), "lines": log.close(), "causes": causes})
    os._exit(0)


def _execute(operator: Any, answer: Json) -> None:
    settings = DagRunSettings(f"run-{time.time_ns()}", datetime.now(UTC))
    context = create_context(operator, settings)
    with set_current_context(context):
        context["ti"].render_templates(context)
        task: Any = context["task"]
        try:
            execute_operator(task, context)
            answer |= {"state": "success", "error": "", "kind": ""}
        finally:
            pod = task.pod or task.pod_request_obj
            answer["pod"] = pod.metadata.name if pod else ""


def _list_reasons(error: BaseException) -> Iterator[BaseException]:
    """List the errors that a task's log shows before its last one, the nearest first."""
    reason = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if reason is not None:
        yield reason
        yield from _list_reasons(reason)


def _build_operator(request: Json) -> Any:
    common = {
        "task_id": "work",
        "dag": DAG(request["name"], schedule=None),
        "name": request["name"],
        "kubernetes_conn_id": request["connection_id"],
        "full_pod_spec": PodGenerator.deserialize_model_dict(request["pod"]),
        "deferrable": False,
        "on_finish_action": "delete_pod",
        "startup_timeout_seconds": request["startup_timeout_s"],
        **request["arguments"],
    }
    if request["engine"] == "team":
        timeout = {"schedule_timeout_seconds": request["startup_timeout_s"]}
        return TeamPodOperator(team=request["team"], **timeout, **common)
    if common.pop("xcom", None):
        common["do_xcom_push"] = True
    account = request["pod"]["spec"].get("serviceAccountName", "team-pod")
    return KubernetesPodOperator(
        namespace=request["namespace"], service_account_name=account, in_cluster=False, **common
    )


def _record_diagnosis(*, is_diagnosed: bool) -> list[Json]:
    """Record the causes of the last diagnosis of this process, or let there be none."""
    causes: list[Json] = []

    def diagnose_and_record(*args: Any) -> Diagnosis:
        found = diagnose_with(*args)
        causes[:] = [{**asdict(cause.finding), "outlook": cause.outlook} for cause in found.causes]
        return found

    module: Any = pod_diagnosis
    module.diagnose_with = diagnose_and_record if is_diagnosed else lambda *_: Diagnosis()
    return causes


class _StampedOutput:
    """What the process writes to stdout and stderr, each line with its time."""

    def __init__(self) -> None:
        self._lines: list[tuple[float, str]] = []
        source, target = os.pipe()
        for number in (1, 2):
            os.dup2(target, number)
        os.close(target)
        self._reader = threading.Thread(target=self._read, args=(source,), daemon=True)
        self._reader.start()

    def _read(self, source: int) -> None:
        with os.fdopen(source, encoding="utf-8", errors="replace") as stream:
            for line in stream:
                self._lines.append((time.time(), line.rstrip("\n")))

    def close(self) -> list[tuple[float, str]]:
        """End the output, and return its lines."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        unused = os.open(os.devnull, os.O_WRONLY)
        for number in (1, 2):
            os.dup2(unused, number)
        self._reader.join(5)
        return list(self._lines)
