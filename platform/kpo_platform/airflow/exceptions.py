"""A refusal at run time, in the form in which Airflow does not try again."""

from __future__ import annotations

from airflow.sdk.exceptions import AirflowFailException

from kpo_platform.errors import PodError
from kpo_platform.finding import Refused


class RefusedPod(PodError, AirflowFailException):  # noqa: N818 (reads as what it is)
    """A pod that is refused once its values are known; another try would be refused as well, so there is none."""


class RefusedArguments(Refused, AirflowFailException):
    """A mapped task's arguments that are refused when the running task is made of them, with the reasons one by one."""
