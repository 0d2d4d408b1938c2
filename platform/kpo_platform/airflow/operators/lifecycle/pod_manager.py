"""The stock pod manager, with commands in the XCom sidecar that end in time."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from airflow.providers.cncf.kubernetes.utils.pod_manager import EMPTY_XCOM_RESULT, PodManager
from airflow.providers.cncf.kubernetes.utils.xcom_sidecar import PodDefaults
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.exec_request import CommandFailed, run_command

_READ_S, _END_S = 600.0, 10.0
_FILE = f"{PodDefaults.XCOM_MOUNT_PATH}/return.json"
_READ = f"if [ -s {_FILE} ]; then cat {_FILE}; else echo {EMPTY_XCOM_RESULT}; fi"
_END = (
    "kill -2 $(pgrep -u $(id -u) -f 'sh') || for f in /proc/[0-9]*/comm; do "
    '[ -O $f ] && read c < $f && [ "$c" = "sh" ] && pid=${f%/comm} && kill -2 ${pid##*/}; done'
)
"""The stock manager's two commands: SIGINT for every shell, as process 1 need not be the sidecar's."""


class TeamPodManager(PodManager):
    """The stock manager, with `extract_xcom` in two steps and with a time limit.

    The stock method ends the sidecar, and with it the result, before it is stored; and it waits without a limit for a
    connection that is dead.
    """

    def extract_xcom(self, pod: k8s.V1Pod, **_: Any) -> str:
        """Read the result; `extract_xcom_kill` ends the sidecar."""
        return str(self.extract_xcom_json(pod))

    def extract_xcom_json(self, pod: k8s.V1Pod) -> str:
        """Read the file with the result; the caller parses it.

        Raises:
            ApiException: the API server or the node refused the command.
            OSError: no answer, or not the whole.
            CommandFailed: the file cannot be read.
        """
        return self._run(pod, _READ, _READ_S)

    def extract_xcom_kill(self, pod: k8s.V1Pod) -> None:
        """End the sidecar; exceptions as of `extract_xcom_json`."""
        with suppress(CommandFailed):  # the signal ends the command, too
            self._run(pod, _END, _END_S)

    def _run(self, pod: k8s.V1Pod, command: str, timeout_s: float) -> str:
        where, words = (pod.metadata.name, pod.metadata.namespace), ["/bin/sh", "-c", command]
        return run_command(
            self._client.api_client, where, PodDefaults.SIDECAR_CONTAINER_NAME, words, timeout_s=timeout_s
        )
