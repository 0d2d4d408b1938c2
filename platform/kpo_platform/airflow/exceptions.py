"""Refusals during a run; Airflow does not retry the task."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException

from kpo_platform.errors import PodError
from kpo_platform.finding import RefusalError


class RefusedPod(PodError, AirflowFailException):  # noqa: N818
    """A pod is refused with its rendered values. Airflow does not retry the task: a retry would be refused too."""


class RefusedArguments(RefusalError, AirflowFailException):  # noqa: N818
    """The arguments of a mapped task are refused when the running task is created from them."""
