"""Refusals during a run; Airflow does not retry the task."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException

from kpo_platform.errors import PodError
from kpo_platform.finding import RefusalError


class RefusedPod(PodError, AirflowFailException):  # noqa: N818
    """A running task's pod is refused; Airflow does not retry the task.

    Its rendered values are the reason, so a retry would be refused too.
    """


class ArgumentRefusalError(RefusalError, AirflowFailException):
    """A mapped task's arguments are refused when the running task is created."""
