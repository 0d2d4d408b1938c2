"""Wait until the roles of all teams are in Airflow's database, then end: the DAG processor may then read their DAGs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from database import wait_until
from sqlalchemy import Connection, text

CONTRACT = Path("/opt/kpo-platform/contract/contract.json")
DEADLINE_SECONDS = 600

ROLES = text("SELECT name FROM ab_role")


def missing(wanted: set[str], connection: Connection) -> str:
    """Which roles are not there yet; the empty text for none."""
    lacking = sorted(wanted - set(connection.execute(ROLES).scalars()))
    return f"the team-settings job has not made the roles {', '.join(lacking[:5])}" if lacking else ""


def main() -> None:
    """Wait for the roles that the contract names."""
    teams = json.loads(CONTRACT.read_text())["teams"].values()
    wait_until(partial(missing, {team["role"] for team in teams}), DEADLINE_SECONDS)


if __name__ == "__main__":
    main()
