"""Airflow's database as the small scripts beside this file see it: without loading Airflow, which costs seconds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable

from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import OperationalError

PAUSE_SECONDS = 1.0
CONNECT_SECONDS = 5


def connect() -> Connection:
    """A connection to the database that Airflow's environment names.

    Raises:
        OperationalError: there is none to be had.
    """
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return create_engine(url, connect_args={"connect_timeout": CONNECT_SECONDS}).connect()


def wait_until(ready: Callable[[Connection], str], seconds: float) -> None:
    """Return once the database answers and is ready; end the program with what was last seen if that never happens.

    Args:
        ready: says what is still missing; the empty text for nothing.
        seconds: how long to try.
    """
    deadline = time.monotonic() + seconds
    told = ""
    while missing := _missing(ready):
        if missing != told:
            print(f"waiting: {missing}", flush=True)
            told = missing
        if time.monotonic() > deadline:
            sys.exit(f"the database was not ready within {seconds:.0f} s; last seen: {missing}")
        time.sleep(PAUSE_SECONDS)


def _missing(ready: Callable[[Connection], str]) -> str:
    try:
        with connect() as connection:
            return ready(connection)
    except OperationalError as error:
        return str(error.orig).strip()
