"""Read the stored arguments of a trigger without deserializing them."""

from __future__ import annotations

import json
from typing import Any

from kpo_platform.airflow.guards.triggers.request import TriggerRefusedError


def read_arguments(stored: str) -> Any:
    """Parse the stored arguments, encrypted or not, as `Trigger._decrypt_kwargs` would (3.3, models/trigger.py).

    Raises:
        TriggerRefusedError: they cannot be decrypted or parsed. A task may store any text.
    """
    from airflow.models.crypto import get_fernet

    try:
        if not stored.startswith("{"):
            stored = get_fernet().decrypt(stored.encode()).decode()
        return json.loads(stored)
    except Exception as error:  # the text comes from a task, and may be anything
        raise TriggerRefusedError(
            f"its arguments cannot be read ({type(error).__name__})",
            "Start the task again; if Airflow's Fernet key was replaced, keep the old key beside the new one.",
        ) from None


def write_arguments(arguments: dict[str, Any]) -> str:
    """Write judged arguments in the form that is not encrypted; they only go to the triggerer's child process."""
    return json.dumps(arguments)
