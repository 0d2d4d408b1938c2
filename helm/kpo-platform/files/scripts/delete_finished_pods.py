"""Remove the teams' finished pods once they are older than the team keeps them.

Runs as a CronJob whose account may list and delete pods in the namespaces of the teams that have an age, and nothing
else. Standard library only. Prints one line per team.

Environment:
    KPO_PLATFORM_CONTRACT: the file of the contract, which says the teams' namespaces and ages.
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
"""Where the kubelet mounts the token of the pod's account and the certificate of the API server."""

FINISHED = "status.phase!=Pending,status.phase!=Running,status.phase!=Unknown"
GONE = (404, 409)
PAGE = 500
TIMEOUT_SECONDS = 30


def call(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Send one request to the API server and give its answer.

    Raises:
        urllib.error.URLError: the API server cannot be reached or refuses.
    """
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT_HTTPS"]
    request = urllib.request.Request(
        f"https://[{host}]:{port}{path}" if ":" in host else f"https://{host}:{port}{path}",
        data=json.dumps(body).encode() if body else None,
        headers={"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}", "Content-Type": "application/json"},
        method=method,
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, context=trust, timeout=TIMEOUT_SECONDS) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def finished_pods(namespace: str, team: str) -> Iterator[dict[str, Any]]:
    """The team's pods that have ended, page by page."""
    query = {"fieldSelector": FINISHED, "labelSelector": f"kpo-platform/team={team}", "limit": str(PAGE)}
    while True:
        page = call("GET", f"/api/v1/namespaces/{namespace}/pods?{urllib.parse.urlencode(query)}")
        yield from page["items"]
        query["continue"] = page["metadata"].get("continue", "")
        if not query["continue"]:
            return


def ended(pod: dict[str, Any]) -> datetime:
    """When the pod's last container ended; a pod that never ran (evicted, refused) counts from its creation."""
    states = [status.get("state", {}) for status in pod["status"].get("containerStatuses", [])]
    ends = [state["terminated"]["finishedAt"] for state in states if state.get("terminated", {}).get("finishedAt")]
    return datetime.fromisoformat(max(ends, default=pod["metadata"]["creationTimestamp"]))


def remove(pod: dict[str, Any]) -> bool:
    """Delete exactly this pod; False if it is gone, or another one bears its name by now."""
    meta = pod["metadata"]
    try:
        only = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": meta["uid"]}}
        call("DELETE", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}", only)
    except urllib.error.HTTPError as error:
        if error.code in GONE:
            return False
        raise
    return True


def clean_up(name: str, team: dict[str, Any]) -> None:
    """Remove the team's pods that ended longer ago than its age."""
    before = datetime.now(UTC) - timedelta(seconds=team["cleanup"]["maxAge"])
    old = [pod for pod in finished_pods(team["namespace"], name) if ended(pod) < before]
    removed = sum(remove(pod) for pod in old)
    print(f"team {name}: {removed} pods that ended before {before:%Y-%m-%dT%H:%M:%SZ} removed")


def main() -> None:
    """Clean up after every team that has an age; one team's failure does not keep the others waiting."""
    contract = json.loads(Path(os.environ["KPO_PLATFORM_CONTRACT"]).read_text())
    failed = []
    for name, own in contract["teams"].items():
        team = {**contract["teamDefaults"], **own}
        if team["cleanup"]["maxAge"]:
            try:
                clean_up(name, team)
            except OSError as error:
                failed.append(f"team {name}: pods could not be removed: {error}; the next run tries again")
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
