"""Wait until the roles of all teams exist in Airflow's database, so that the DAG processor can parse their DAGs."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from database import wait_until
from sqlalchemy import Connection, text

CONTRACT = Path("/opt/kpo-platform/contract/contract.json")
TIMEOUT_SECONDS = 600

ROLE_NAMES = text("SELECT name FROM ab_role")


def find_missing_roles(expected: set[str], connection: Connection) -> str:
    """Report the first missing roles; an empty string if all exist."""
    missing = sorted(expected - set(connection.execute(ROLE_NAMES).scalars()))
    return f"the team-settings Job has not created the roles {', '.join(missing[:5])}" if missing else ""


def main() -> None:
    """Wait for the roles in the contract."""
    teams = json.loads(CONTRACT.read_text())["teams"].values()
    wait_until(partial(find_missing_roles, {team["role"] for team in teams}), TIMEOUT_SECONDS)


if __name__ == "__main__":
    main()
