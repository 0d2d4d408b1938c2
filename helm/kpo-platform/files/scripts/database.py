"""Access to Airflow's database without importing Airflow, which takes seconds."""

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

POLL_SECONDS = 1.0
CONNECT_TIMEOUT_SECONDS = 5

EXIT_NEWER_DATABASE = 65
"""Exit code if the database is newer than the image; a retry would fail too."""

MIGRATIONS = {"alembic_version": "migrations/versions", "alembic_version_fab": "providers/fab/migrations/versions"}
"""Table with the revision of a schema → folder of its migrations in Airflow's package."""

_REVISION = re.compile(r"""^revision(?:: str)? = ["'](\w+)["']""", re.MULTILINE)


def connect() -> Connection:
    """Open a connection to Airflow's database; closing it leaves no connection in a pool.

    Raises:
        OperationalError: the database is unreachable or refuses the connection.
    """
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]
    return create_engine(url, poolclass=NullPool, connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS}).connect()


def wait_until(find_obstacle: Callable[[Connection], str], timeout_seconds: float) -> None:
    """Wait until the database answers and no obstacle is left; print every new obstacle.

    Args:
        find_obstacle: returns the reason to keep waiting; an empty string if there is none.
        timeout_seconds: time after which to give up.

    Raises:
        SystemExit: the timeout is over; the message names the last obstacle.
    """
    deadline = time.monotonic() + timeout_seconds
    printed = ""
    while obstacle := _find_obstacle_or_error(find_obstacle):
        if obstacle != printed:
            print(f"Waiting: {obstacle}", flush=True)
            printed = obstacle
        if time.monotonic() > deadline:
            sys.exit(
                f"Waiting for the database timed out after {timeout_seconds:.0f} s: {obstacle}. "
                "Run `platformctl doctor` to find the cause; Kubernetes starts the container again."
            )
        time.sleep(POLL_SECONDS)


def exit_if_database_is_newer(connection: Connection) -> None:
    """Exit if a newer image has migrated the database; waiting would never end.

    Raises:
        SystemExit: with EXIT_NEWER_DATABASE, if the database has a revision that this image does not know.
    """
    for table, folder in MIGRATIONS.items():
        if known := _known_revisions(folder):
            unknown = _stored_revisions(connection, table) - known
            if unknown:
                print(_newer_message(table, unknown), file=sys.stderr, flush=True)
                raise SystemExit(EXIT_NEWER_DATABASE)


def _newer_message(table: str, unknown: set[str]) -> str:
    airflow = version("apache-airflow")
    if table == "alembic_version":
        image, downgrade = f"Airflow {airflow}", f"set migrateDatabaseJob.downgradeTo={airflow} in that release"
    else:  # `airflow db downgrade` does not change the FAB provider's tables
        fab = version("apache-airflow-providers-fab")
        image = f"FAB provider {fab}"
        downgrade = f"run `airflow fab-db downgrade --to-version {fab} --yes` in its API server"
    return (
        f"The image with {image} does not know revision {', '.join(sorted(unknown))} in table {table}: a newer image "
        "has migrated the database. Return to the newer image, then delete the pods that have not started, because "
        "Kubernetes does not replace those of a StatefulSet (kubectl delete pod --field-selector status.phase=Pending "
        "--selector statefulset.kubernetes.io/pod-name, in this namespace). To use this image, downgrade the schema "
        f"with the newer image first: {downgrade} (docs/upgrade.md, Rollback)."
    )


def _known_revisions(folder: str) -> set[str]:
    """Return the revisions in this image, read from its files because importing Airflow takes seconds."""
    spec = find_spec("airflow")
    folders = [Path(location, folder) for location in (spec.submodule_search_locations or ())] if spec else []
    texts = [path.read_text() for location in folders for path in location.glob("*.py")]
    return {match[1] for match in map(_REVISION.search, texts) if match}


def _stored_revisions(connection: Connection, table: str) -> set[str]:
    if not connection.execute(text("SELECT to_regclass(:table) IS NOT NULL"), {"table": table}).scalar_one():
        return set()
    return set(connection.execute(text(f"SELECT version_num FROM {table}")).scalars())


def _find_obstacle_or_error(find_obstacle: Callable[[Connection], str]) -> str:
    try:
        with connect() as connection:
            return find_obstacle(connection)
    except OperationalError as error:
        return str(error.orig).strip()
