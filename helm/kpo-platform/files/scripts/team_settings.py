"""Write the teams' roles, pools and git connections to Airflow's database.

Runs as a Job after the migration, and can run again at any time. Roles, pools and connections of removed teams stay,
because the history refers to them. Prints one line per connection, never a secret value.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from team_roles import create_roles

SETTINGS = Path("/opt/kpo-platform/team-settings")
CREDENTIALS = Path("/opt/kpo-platform/credentials")
"""Parent of one mounted folder for each Secret; the folder is empty if the Secret is missing."""


def read_connection_fields(folder: Path, ssh_options: dict[str, str]) -> dict[str, Any]:
    """Read the fields of a git connection from a mounted Secret; no fields if it has neither key nor password.

    The keys of the Secret are those of the Kubernetes types ``basic-auth`` and ``ssh-auth``.

    Args:
        folder: where the Secret is mounted.
        ssh_options: extra fields for ssh, which set how host keys are verified.
    """
    values = {path.name: path.read_text() for path in folder.glob("*") if path.is_file()}
    if "ssh-privatekey" in values:
        key = values["ssh-privatekey"].rstrip("\n") + "\n"  # ssh refuses a key without a line break at its end
        return {"extra": json.dumps({"private_key": key, **ssh_options})}
    if "password" in values:
        return {"login": values.get("username", "user").strip(), "password": values["password"].strip()}
    return {}


def store_connections(connections: dict[str, dict[str, Any]]) -> None:
    """Create or replace all connections in one transaction."""
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        for name, fields in connections.items():
            session.execute(delete(Connection).where(Connection.conn_id == name))
            session.add(Connection(conn_id=name, conn_type="git", description="Managed by kpo-platform.", **fields))


def main() -> None:
    """Write the roles first, because the DAG processor waits for them; then pools, and connections with a Secret.

    Raises:
        SystemExit: a Secret is missing or incomplete; the Job tries again.
    """
    if roles := json.loads((SETTINGS / "roles.json").read_text()):
        create_roles(roles)
    subprocess.run(["airflow", "pools", "import", str(SETTINGS / "pools.json")], check=True)
    secrets: dict[str, str] = json.loads((SETTINGS / "connections.json").read_text())
    ssh_options: dict[str, str] = json.loads((SETTINGS / "ssh.json").read_text())
    fields = {name: read_connection_fields(CREDENTIALS / secret, ssh_options) for name, secret in secrets.items()}
    complete = {name: values for name, values in fields.items() if values}
    if complete:
        store_connections(complete)
    for name in complete:
        print(f"Connection {name}: created from Secret {secrets[name]}")
    if missing := [name for name in secrets if name not in complete]:
        sys.exit("\n".join(_missing_message(name, secrets[name]) for name in missing))


def _missing_message(connection: str, secret: str) -> str:
    return (
        f"Connection {connection} cannot be created: Secret {secret} is missing, or has neither `password` nor "
        "`ssh-privatekey`. Create the Secret in the release's namespace; the Job tries again. If the Job has failed, "
        "see docs/upgrade.md, Failed Jobs."
    )


if __name__ == "__main__":
    main()
