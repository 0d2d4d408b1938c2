"""Encrypt what Airflow's database holds with another Fernet key.

The keys come by standard input, with commas between: the first encrypts, all of them decrypt. Airflow's own command
does the work, but fails while a task is deferred: Airflow 3 stores the arguments of triggers as plain JSON, and the
command takes them for encrypted. Here they are left as they are.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from cryptography.fernet import InvalidToken


def leave_plain_arguments() -> None:
    """Have the command leave the arguments of triggers alone that are not encrypted."""
    from airflow.models.trigger import Trigger

    rotate: Callable[[Trigger], None] = Trigger.rotate_fernet_key

    def rotate_encrypted(trigger: Trigger) -> None:
        if not trigger.encrypted_kwargs.startswith("{"):
            rotate(trigger)

    Trigger.rotate_fernet_key = rotate_encrypted  # type: ignore[method-assign]


def main() -> None:
    """Run the command with the keys.

    Raises:
        SystemExit: none of them opens something that is stored.
    """
    os.environ["AIRFLOW__CORE__FERNET_KEY"] = sys.stdin.read().strip()
    from airflow.__main__ import main as airflow

    leave_plain_arguments()
    sys.argv = ["airflow", "rotate-fernet-key"]
    try:
        airflow()  # type: ignore[no-untyped-call]
    except InvalidToken:
        sys.exit("the database holds something that none of these keys opens; nothing was changed")


if __name__ == "__main__":
    main()
