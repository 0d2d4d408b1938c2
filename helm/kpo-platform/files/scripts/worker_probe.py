"""Does the Celery worker in this container answer? Exit 0 for yes, 1 for no.

Asks it over the broker, as ``celery inspect ping`` does, without loading Airflow. A broker that cannot be reached
counts as yes: to restart the worker would not bring it back.
"""

from __future__ import annotations

import os
import socket
import sys

from celery import Celery
from kombu.exceptions import OperationalError

ANSWER_SECONDS = 5.0
"""A worker answers at once; a busy node delays some."""


def main() -> None:
    """Ask the worker whose name is this host's."""
    worker = f"celery@{socket.gethostname()}"
    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"], set_as_current=False)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=ANSWER_SECONDS)
            found = app.control.ping(destination=[worker], timeout=ANSWER_SECONDS, connection=connection)
    except (OperationalError, OSError) as error:
        print(f"the broker cannot be reached, which says nothing about this worker: {type(error).__name__}")
        return
    if not found:
        sys.exit(f"{worker} did not answer within {ANSWER_SECONDS:.0f} s")


if __name__ == "__main__":
    main()
