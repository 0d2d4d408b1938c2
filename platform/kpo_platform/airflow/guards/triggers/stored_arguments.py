"""Read the stored arguments of a trigger without deserializing them."""

from __future__ import annotations

import json
import logging
from typing import Any

from kpo_platform.airflow.guards.contract_file import read_contract
from kpo_platform.airflow.guards.triggers.plain_values import NotPlainError, convert_plain
from kpo_platform.airflow.guards.triggers.request import TriggerRefusedError

log = logging.getLogger(__name__)


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


def check_deserialization(arguments: dict[str, Any]) -> None:
    """Check that judged arguments can be deserialized, which is safe because they are plain.

    Raises:
        TriggerRefusedError: a value is not valid, for example a UUID, a time zone, or a set that holds a list.
    """
    from airflow.sdk.serde import deserialize

    for name, value in arguments.items():
        try:
            deserialize(value)
        except Exception as error:  # serde raises anything
            cause = f"its argument {name[:64]!r} is not valid ({type(error).__name__})"
            raise TriggerRefusedError(cause, "Correct the trigger's serialize().") from None


def guard_decryption(trigger_class: Any) -> None:
    """Deserialize only plain values in the model ``Trigger``, also when the UI shows a deferred task.

    The API server reads the arguments of a task's trigger only to drop them (3.3, core_api/datamodels/trigger.py). It
    gets none if they are not plain: an object of another class would be created beside the database, and arguments that
    cannot be decrypted or deserialized would break the page of the task.
    """
    decrypt = trigger_class._decrypt_kwargs

    def decrypt_plain(encrypted_kwargs: str) -> Any:
        if not read_contract().isolation.enabled:
            return decrypt(encrypted_kwargs)
        try:
            plain = convert_plain(read_arguments(encrypted_kwargs))
        except (NotPlainError, TriggerRefusedError) as error:
            log.warning("The arguments of a trigger are not deserialized: %s.", error)
            return {}
        try:
            return decrypt(write_arguments(plain))
        except Exception as error:  # plain, but not valid, as a set that holds a list; serde raises anything
            log.warning("The arguments of a trigger are not valid (%s).", type(error).__name__)
            return {}

    trigger_class._decrypt_kwargs = staticmethod(decrypt_plain)
