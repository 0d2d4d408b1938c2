"""Probe of the Celery worker in this container.

Exits with 0 if the worker answers, with 1 if not. Pings it over the broker, as ``celery inspect ping`` does, but
without importing Airflow. If the broker is unreachable, the probe succeeds: a restart of the worker would not help.
"""

from __future__ import annotations

import os
import socket
import sys

from celery import Celery
from kombu.exceptions import OperationalError

TIMEOUT_SECONDS = 5.0
"""A worker answers at once; a busy node delays some answers."""


def main() -> None:
    """Ping the worker of this host."""
    worker = f"celery@{socket.gethostname()}"
    app = Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"], set_as_current=False)
    try:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=TIMEOUT_SECONDS)
            replies = app.control.ping(destination=[worker], timeout=TIMEOUT_SECONDS, connection=connection)
    except (OperationalError, OSError) as error:
        print(f"The broker is unreachable, so the state of this worker is unknown: {type(error).__name__}")
        return
    if not replies:
        sys.exit(f"{worker} has not answered within {TIMEOUT_SECONDS:.0f} s.")


if __name__ == "__main__":
    main()
