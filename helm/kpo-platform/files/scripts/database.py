"""Airflow's database as the small scripts beside this file see it: without loading Airflow, which costs seconds."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

PAUSE_SECONDS = 1.0
CONNECT_SECONDS = 5

EXIT_NEWER = 65
"""Exit code when the database is ahead of the image: to try again would be of no use."""

MIGRATIONS = {"alembic_version": "migrations/versions", "alembic_version_fab": "providers/fab/migrations/versions"}
"""Table that holds the revision of a schema → where in Airflow's folder its migrations lie."""

_REVISION = re.compile(r"""^revision(?:: str)? = ["'](\w+)["']""", re.MULTILINE)


def connect() -> Connection:
    """A connection to the database that Airflow's environment names; closed, none of it is left open.

    Raises:
        OperationalError: there is none to be had.
    """
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_SECONDS}).connect()


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


def refuse_newer(connection: Connection) -> None:
    """End the program if a newer Airflow has migrated the database: this image could only wait for ever.

    Raises:
        SystemExit: it has, with EXIT_NEWER; the way out is printed.
    """
    for table, folder in MIGRATIONS.items():
        if known := _revisions(folder):
            unknown = _stored(connection, table) - known
            if unknown:
                print(_newer(table, unknown), file=sys.stderr, flush=True)
                raise SystemExit(EXIT_NEWER)


def _newer(table: str, unknown: set[str]) -> str:
    airflow = version("apache-airflow")
    if table == "alembic_version":
        image, how = f"Airflow {airflow}", f"migrateDatabaseJob.downgradeTo={airflow}"
    else:  # `airflow db downgrade` leaves it as it is
        fab = version("apache-airflow-providers-fab")
        image, how = f"FAB provider {fab}", f"`airflow fab-db downgrade --to-version {fab} --yes` in its API server"
    return (
        f"the database has revision {', '.join(sorted(unknown))} in {table}, which this image with {image} "
        "does not know: a newer image has migrated it. Go back to that one, and then delete the pods that have not "
        "started, for Kubernetes does not replace those of a StatefulSet (kubectl delete pod --field-selector "
        "status.phase=Pending --selector statefulset.kubernetes.io/pod-name, in this namespace); to come here all the "
        f"same, have it take the schema back first, by {how} (docs/upgrade.md, Rollback)"
    )


def _revisions(folder: str) -> set[str]:
    """The revisions that this image knows; read from its files, for to import Airflow takes seconds."""
    spec = find_spec("airflow")
    places = [Path(place, folder) for place in (spec.submodule_search_locations or ())] if spec else []
    texts = [path.read_text() for place in places for path in place.glob("*.py")]
    return {match[1] for match in map(_REVISION.search, texts) if match}


def _stored(connection: Connection, table: str) -> set[str]:
    if not connection.execute(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}).scalar_one():
        return set()
    return set(connection.execute(text(f"SELECT version_num FROM {table}")).scalars())


def _missing(ready: Callable[[Connection], str]) -> str:
    try:
        with connect() as connection:
            return ready(connection)
    except OperationalError as error:
        return str(error.orig).strip()
