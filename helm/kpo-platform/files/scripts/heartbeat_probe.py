"""Probe of an Airflow component by its last heartbeat.

Exits with 0 if the component in this container has sent a heartbeat recently, with 1 if not. Reads
Airflow's table of jobs, as ``airflow jobs check --local`` does, but without importing Airflow. If the database does not
answer, the probe succeeds: a restart of the component would not help.
"""

from __future__ import annotations

import socket
import sys

from database import connect
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

MAX_AGE_SECONDS = 60
"""Airflow sends a heartbeat every 5 s; a busy node delays some."""

RECENT_HEARTBEATS = text(
    "SELECT count(*) FROM job WHERE job_type = :type AND hostname IN (:short, :full) AND state = 'running'"
    " AND latest_heartbeat > now() - make_interval(secs => :max_age)"
)


def read_canonical_host_name() -> str:
    """Return the host name that Airflow writes into the table: the canonical name of the resolver."""
    short = socket.gethostname()
    for address in socket.getaddrinfo(short, None, type=socket.SOCK_DGRAM, flags=socket.AI_CANONNAME):
        if address[3]:
            return address[3]
    return short


def main() -> None:
    """Look for heartbeats of the job type in the first argument."""
    parameters = {
        "type": sys.argv[1],
        "short": socket.gethostname(),
        "full": read_canonical_host_name(),
        "max_age": MAX_AGE_SECONDS,
    }
    try:
        with connect() as connection:
            count = connection.execute(RECENT_HEARTBEATS, parameters).scalar_one()
    except OperationalError as error:
        print(f"The database does not answer, so the state of this component is unknown: {error.orig}")
        return
    if not count:
        sys.exit(f"{sys.argv[1]} on {parameters['full']} has sent no heartbeat for {MAX_AGE_SECONDS} s.")


if __name__ == "__main__":
    main()
