"""Run operators, each in a process that is forked from one with Airflow's imports."""

from __future__ import annotations

import json
import multiprocessing
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.fault_scores.fault import Access
from common.paths import REPOSITORY
from kpo_platform.contract import FILE_VARIABLE, parse
from kpo_platform.offline.environment import build_environment

Json = dict[str, Any]

_LONGEST_S, _STARTED_S = 130.0, 30.0
_MODULE = "benchmarks.fault_scores.operator_process"
_CONNECTION = "faults"


@dataclass(frozen=True)
class TaskRun:
    """What came of a task.

    Attributes:
        state: `success`, `failed`, or `running` if it had not ended in time.
        error: the text of its error.
        kind: the class of the error.
        reasons: the texts of the errors that have led to it, which the log shows too.
        lines: time and text of the lines of its log.
        causes: the findings of its last diagnosis, each with its outlook.
        began_at: time.
        ended_at: time.
        pod: the name of its pod; empty if it has built none.
    """

    state: str
    error: str = ""
    kind: str = ""
    reasons: tuple[str, ...] = ()
    lines: tuple[tuple[float, str], ...] = ()
    causes: tuple[Json, ...] = ()
    began_at: float = 0.0
    ended_at: float = 0.0
    pod: str = ""

    @property
    def first_line(self) -> str:
        """The first line of the error."""
        return _cut(self.error)

    @property
    def all_first_lines(self) -> str:
        """The first line of the error, and those of its reasons."""
        return " ← ".join([self.first_line, *map(_cut, self.reasons)])


def _cut(text: str) -> str:
    return text.strip().partition("\n")[0]


@dataclass(frozen=True)
class Operators:
    """Runs operators.

    Attributes:
        kubeconfig: that of Airflow's service account.
        xcom_image: the image of the XCom sidecar.
        wide_token: a token with all rights.
    """

    kubeconfig: Json = field(repr=False)
    xcom_image: str
    wide_token: str = field(repr=False)

    def run(self, engine: str, task: Json, *, access: Access = "team", is_diagnosed: bool = True) -> TaskRun:
        """Run a task to its end.

        Args:
            engine: `team` or `stock`.
            task: `team`, `namespace`, `name`, `pod`, `arguments` and `startup_timeout_s`.
            access: how it connects.
            is_diagnosed: whether TeamPodOperator may diagnose the pod.
        """
        request = {
            **task,
            "engine": engine,
            "is_diagnosed": is_diagnosed,
            "connection_id": _CONNECTION,
            "longest_s": _LONGEST_S,
            "connection": self._build_connection(access),
        }
        return _run_in_process(request)

    def _build_connection(self, access: Access) -> str:
        kubeconfig = self.kubeconfig
        if access != "team":
            token = self.wide_token if access == "wide" else "invalid"
            users = [{**user, "user": {"token": token}} for user in kubeconfig["users"]]
            kubeconfig = {**kubeconfig, "users": users}
        extra = {"kube_config": kubeconfig, "xcom_sidecar_container_image": self.xcom_image, "in_cluster": False}
        return json.dumps({"conn_type": "kubernetes", "extra": extra})


def prepare_processes(contract_file: Path, home: Path) -> None:
    """Set the environment of the processes, and let them import Airflow once.

    Args:
        contract_file: the contract with the teams.
        home: a folder for AIRFLOW_HOME.
    """
    contract = parse(contract_file.read_text(encoding="utf-8"))
    os.environ |= build_environment(contract, contract_file, home, home)
    os.environ |= {
        FILE_VARIABLE: str(contract_file),
        "AIRFLOW__LOGGING__LOG_FORMAT": "%(message)s",
        "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
    }
    os.environ["PYTHONPATH"] = ":".join(str(REPOSITORY / name) for name in ("platform", "scripts"))
    multiprocessing.set_forkserver_preload([_MODULE])


def _run_in_process(request: Json) -> TaskRun:
    from benchmarks.fault_scores.operator_process import run_operator

    processes = multiprocessing.get_context("forkserver")
    answers, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=run_operator, args=(request, sender), daemon=True)
    process.start()
    sender.close()
    try:
        if not answers.poll(_LONGEST_S + _STARTED_S):
            return TaskRun("running")
        answer = answers.recv()
    except EOFError:
        return TaskRun("failed", f"the process of the task has ended with exit code {process.exitcode}", "Killed")
    finally:
        process.kill()
        process.join()
    return TaskRun(**{**answer, "lines": tuple(answer["lines"]), "causes": tuple(answer["causes"])})
