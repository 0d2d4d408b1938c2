"""Exec plugins of a kubeconfig."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unit.support.http_server import Server


def write_exec_plugin(folder: Path, script: str) -> dict[str, Any]:
    """Write an exec plugin and return the kubeconfig user with it."""
    file = folder / "sign-in"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(file)}}


def write_kubeconfig(server: Server, folder: Path, user: dict[str, Any]) -> str:
    file = Path(server.kubeconfig(folder))
    content = json.loads(file.read_text())
    content["users"][0]["user"] = user
    file.write_text(json.dumps(content))
    return str(file)
