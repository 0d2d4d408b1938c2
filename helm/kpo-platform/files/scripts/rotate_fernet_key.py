"""Encrypt Airflow's database with another Fernet key.

Reads the keys from standard input, separated by commas: the first key encrypts, all of them decrypt. Runs
``airflow rotate-fernet-key`` with a patch. Without the patch, the command fails while a task is deferred: Airflow 3
stores the arguments of triggers as plain JSON, but the command tries to decrypt them. The patch leaves plain arguments
unchanged.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from cryptography.fernet import InvalidToken


def skip_plain_arguments() -> None:
    """Patch Airflow so that its command skips trigger arguments that are not encrypted."""
    from airflow.models.trigger import Trigger

    rotate: Callable[[Trigger], None] = Trigger.rotate_fernet_key

    def rotate_encrypted(trigger: Trigger) -> None:
        if not trigger.encrypted_kwargs.startswith("{"):
            rotate(trigger)

    Trigger.rotate_fernet_key = rotate_encrypted  # type: ignore[method-assign]


def main() -> None:
    """Run Airflow's command with the keys.

    Raises:
        SystemExit: none of the keys decrypts a stored value.
    """
    os.environ["AIRFLOW__CORE__FERNET_KEY"] = sys.stdin.read().strip()
    from airflow.__main__ import main as run_airflow

    skip_plain_arguments()
    sys.argv = ["airflow", "rotate-fernet-key"]
    try:
        run_airflow()  # type: ignore[no-untyped-call]
    except InvalidToken:
        sys.exit(
            "The rotation has changed nothing: none of the keys decrypts a value in the database. "
            "Pass the new key first, then the current key."
        )


if __name__ == "__main__":
    main()
