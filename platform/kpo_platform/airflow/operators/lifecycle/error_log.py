"""Write an expected failure of a task into its log as its sentence, without a traceback through the platform."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any

import structlog
from airflow.sdk.exceptions import AirflowException

from kpo_platform.airflow.api_errors import ApiRefusal
from kpo_platform.errors import PlatformError

_EXPECTED = (AirflowException, ApiRefusal, PlatformError)
_LIBRARIES = ("kpo_platform.", "airflow.providers.cncf.kubernetes.")
"""Modules in which an expected failure is raised with a sentence for its reader."""


def shorten_tracebacks() -> None:
    """Let Airflow's log of this process show expected failures without their frames.

    Airflow logs each failure with its traceback, and no setting changes that. Its loggers share the list of
    processors, also those that exist already.
    """
    processors = structlog.get_config()["processors"]
    if _shorten not in processors:
        processors.insert(0, _shorten)


def _shorten(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Replace an expected failure by its text, with neither frames nor the errors that have led to it."""
    error = sys.exc_info()[1] if event.get("exc_info") is True else event.get("exc_info")
    if isinstance(error, _EXPECTED) and _is_raised_in_library(error.__traceback__):
        event["exc_info"] = (type(error), Exception(str(error)), None)
    return event


def _is_raised_in_library(traceback: TracebackType | None) -> bool:
    module = ""
    while traceback is not None:
        module, traceback = str(traceback.tb_frame.f_globals.get("__name__")), traceback.tb_next
    return module.startswith(_LIBRARIES)
