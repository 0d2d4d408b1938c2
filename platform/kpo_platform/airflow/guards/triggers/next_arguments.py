"""Deserialize only plain values of the arguments with which a task resumes.

A task stores them itself, and Airflow (3.3) deserializes them in the API server, the scheduler and the triggerer. An
object of any class of Airflow would be created there, beside the database.
"""

from __future__ import annotations

import logging
from functools import wraps
from typing import Any

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.triggers.plain_values import NotPlainError, convert_plain

log = logging.getLogger(__name__)

_MARK = "kpo_platform_reads_plain_values"


def guard_next_arguments(module: Any) -> None:
    """Guard ``airflow.models.trigger``, which fails a task whose arguments it cannot decode (`handle_event_submit`).

    Raises:
        AttributeError: the module has no function ``_decode_next_kwargs``.
    """
    decode = module._decode_next_kwargs
    if hasattr(decode, _MARK):
        return

    @wraps(decode)
    def decode_plain(next_kwargs_raw: Any) -> Any:
        return decode(convert_plain(next_kwargs_raw) if read_contract().isolation.enabled else next_kwargs_raw)

    setattr(decode_plain, _MARK, True)
    module._decode_next_kwargs = decode_plain


def guard_conversion(instruction: Any) -> None:
    """Guard the conversion of the arguments for workers with an older version of the API.

    Others than plain values reach the worker as the task has stored them, as Airflow itself sends what it cannot
    deserialize (api_fastapi/execution_api/versions/v2026_04_06.py).

    Args:
        instruction: Cadwyn's instruction, whose function gets the response.

    Raises:
        AttributeError: the instruction has no function.
    """
    convert = instruction.transformer
    if hasattr(convert, _MARK):
        return

    @wraps(convert)
    def convert_plain_response(response: Any) -> None:
        stored = response.body.get("next_kwargs")
        if stored is None or not read_contract().isolation.enabled:
            convert(response)
            return
        try:
            response.body["next_kwargs"] = convert_plain(stored)
            convert(response)
        except (NotPlainError, ValueError, ArithmeticError, OSError) as error:
            log.warning("The arguments with which a task resumes are not converted: %s.", error)
            response.body["next_kwargs"] = stored

    setattr(convert_plain_response, _MARK, True)
    instruction.transformer = convert_plain_response
