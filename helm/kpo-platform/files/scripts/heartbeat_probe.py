"""Did the component in this container send a heartbeat lately? Exit 0 for yes, 1 for no.

Asks Airflow's table of jobs, as ``airflow jobs check --local`` does, without loading Airflow. A database that cannot
be asked counts as yes once the component runs: to restart it would not bring the database back.
"""

from __future__ import annotations

import socket
import sys

from database import connect
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

LATELY_SECONDS = 60
"""Airflow sends a heartbeat every 5 s; a busy node delays some."""

QUESTION = text(
    "SELECT count(*) FROM job WHERE job_type = :type AND hostname IN (:short, :full) AND state = 'running'"
    " AND latest_heartbeat > now() - make_interval(secs => :lately)"
)


def full_name() -> str:
    """The host's name as Airflow writes it into the table: the canonical one that the resolver gives."""
    short = socket.gethostname()
    for answer in socket.getaddrinfo(short, None, type=socket.SOCK_DGRAM, flags=socket.AI_CANONNAME):
        if answer[3]:
            return answer[3]
    return short


def main() -> None:
    """Ask for the type of job that the first argument names."""
    question = {
        "type": sys.argv[1],
        "short": socket.gethostname(),
        "full": full_name(),
        "lately": LATELY_SECONDS,
    }
    try:
        with connect() as connection:
            found = connection.execute(QUESTION, question).scalar_one()
    except OperationalError as error:
        print(f"the database cannot be asked, which says nothing about this component: {error.orig}")
        return
    if not found:
        sys.exit(f"no heartbeat of a {sys.argv[1]} on {question['full']} within {LATELY_SECONDS} s")


if __name__ == "__main__":
    main()
