"""Delete finished pods that are older than their team's maximum age (`cleanup.maxAge`).

Runs as a CronJob whose service account may list and delete pods in the namespaces of these teams, and nothing else.
Uses the standard library only. Prints one line per team.

Environment:
    KPO_PLATFORM_CONTRACT: file of the contract, which has the teams' namespaces and maximum ages.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Folder with the service account's token and the API server's CA certificate."""

FINISHED = "status.phase!=Pending,status.phase!=Running,status.phase!=Unknown"
GONE_STATUSES = (404, 409)
PAGE_SIZE = 500
TIMEOUT_SECONDS = 30


def call_api(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send one request to the API server and return its answer.

    Raises:
        urllib.error.URLError: the API server is unreachable or refuses the request.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT_HTTPS"]
    request = urllib.request.Request(
        f"https://[{host}]:{port}{path}" if ":" in host else f"https://{host}:{port}{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"},
        method=method,
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=context, timeout=TIMEOUT_SECONDS) as response:
        answer: dict[str, Any] = json.load(response)
        return answer


def list_finished_pods(namespace: str, team: str) -> Iterator[dict[str, Any]]:
    """Yield the team's finished pods, page by page."""
    query = {"fieldSelector": FINISHED, "labelSelector": f"kpo-platform/team={team}", "limit": str(PAGE_SIZE)}
    while True:
        page = call_api("GET", f"/api/v1/namespaces/{namespace}/pods?{urllib.parse.urlencode(query)}")
        yield from page["items"]
        query["continue"] = page["metadata"].get("continue", "")
        if not query["continue"]:
            return


def read_finish_time(pod: dict[str, Any]) -> datetime:
    """Return the time at which the pod's last container ended; for a pod that never ran, its creation time."""
    states = [status.get("state", {}) for status in pod["status"].get("containerStatuses", [])]
    times = [state["terminated"]["finishedAt"] for state in states if state.get("terminated", {}).get("finishedAt")]
    return datetime.fromisoformat(max(times, default=pod["metadata"]["creationTimestamp"]))


def delete_pod(pod: dict[str, Any]) -> bool:
    """Delete this pod by its uid; return False if it no longer exists or its name belongs to another pod."""
    meta = pod["metadata"]
    try:
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": meta["uid"]}}
        call_api("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", options)
    except urllib.error.HTTPError as error:
        if error.code in GONE_STATUSES:
            return False
        raise
    return True


def delete_old_pods(name: str, team: dict[str, Any]) -> None:
    """Delete the team's pods that finished longer ago than the team's maximum age."""
    before = datetime.now(UTC) - timedelta(seconds=team["cleanup"]["maxAge"])
    old_pods = [pod for pod in list_finished_pods(team["namespace"], name) if read_finish_time(pod) < before]
    deleted = sum(delete_pod(pod) for pod in old_pods)
    print(f"Team {name}: deleted {deleted} pods that finished before {before:%Y-%m-%dT%H:%M:%SZ}.")


def main() -> None:
    """Delete old pods of every team with a maximum age; a failure for one team does not stop the others."""
    contract = json.loads(Path(os.environ["KPO_PLATFORM_CONTRACT"]).read_text())
    failures = []
    for name, fields in contract["teams"].items():
        team = {**contract["teamDefaults"], **fields}
        if team["cleanup"]["maxAge"]:
            try:
                delete_old_pods(name, team)
            except OSError as error:
                failures.append(f"Team {name}: pods cannot be deleted: {error}. The next run tries again.")
    if failures:
        sys.exit("\n".join(failures))


if __name__ == "__main__":
    main()
