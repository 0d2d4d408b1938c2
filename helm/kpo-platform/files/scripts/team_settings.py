"""Write what Airflow's database holds for the teams: a role and a pool each, connections to private repositories.

Runs as a Job after the migration and can be done again at any time. Roles, pools and connections of teams that are gone
stay; they do no harm, and history refers to them. Prints one line per connection, never a value.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from team_roles import make_roles

SETTINGS = Path("/opt/kpo-platform/team-settings")
CREDENTIALS = Path("/opt/kpo-platform/credentials")
"""One folder for each Secret; empty where the Secret is missing."""


def fields(folder: Path, trust: dict[str, str]) -> dict[str, Any]:
    """The fields of a git connection out of a mounted Secret; nothing if it holds neither a key nor a password.

    A key comes with how ssh tells who the server is.

    The Secret's keys are those of Kubernetes' own types ``basic-auth`` and ``ssh-auth``.
    """
    found = {path.name: path.read_text() for path in folder.glob("*") if path.is_file()}
    if "ssh-privatekey" in found:
        # ssh refuses a key whose last line does not end.
        key = found["ssh-privatekey"].rstrip("\n") + "\n"
        return {"extra": json.dumps({"private_key": key, **trust})}
    if "password" in found:
        return {"login": found.get("username", "user").strip(), "password": found["password"].strip()}
    return {}


def store(connections: dict[str, dict[str, Any]]) -> None:
    """Make each connection, or make it anew, all at once or none."""
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for name, values in connections.items():
            session.execute(delete(Connection).where(Connection.conn_id == name))
            session.add(Connection(conn_id=name, conn_type="git", description="Kept by kpo-platform.", **values))


def main() -> None:
    """Write the roles, for which the DAGs wait, the pools, then the connections whose Secrets are there.

    Without one of the Secrets the job tries again, until it has failed too often.
    """
    if roles := json.loads((SETTINGS / "roles.json").read_text()):
        make_roles(roles)
    subprocess.run(["airflow", "pools", "import", str(SETTINGS / "pools.json")], check=True)
    wanted: dict[str, str] = json.loads((SETTINGS / "connections.json").read_text())
    trust: dict[str, str] = json.loads((SETTINGS / "ssh.json").read_text())
    found = {name: fields(CREDENTIALS / secret, trust) for name, secret in wanted.items()}
    complete = {name: values for name, values in found.items() if values}
    if complete:
        store(complete)
    for name in complete:
        print(f"connection {name}: made from secret {wanted[name]}")
    missing = [name for name in wanted if name not in complete]
    if missing:
        sys.exit(
            "\n".join(
                f"connection {name}: secret {wanted[name]} is missing, or has neither `password` nor `ssh-privatekey`; "
                "make it in the release's namespace; the job tries again, and once it has failed, what to do is in "
                "docs/upgrade.md, Failed Jobs"
                for name in missing
            )
        )


if __name__ == "__main__":
    main()
