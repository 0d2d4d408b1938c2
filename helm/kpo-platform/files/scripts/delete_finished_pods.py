"""Delete finished pods that are older than their team's maximum age (`cleanup.maxAge`).

A pod is finished in a final phase, or once its container `base` has ended: after the loss of a worker nothing reads the
result, for which the XCom sidecar waits.

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

BASE = "base"
"""Container that runs the task's program."""

FIRST_TIME = "1971"
"""First time that is real: the kubelet writes year 1, and containerd 1970, for a time that it does not know."""

FINAL_PHASES = ("Succeeded", "Failed")
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


def list_pods(namespace: str, team: str) -> Iterator[dict[str, Any]]:
    """Yield the team's pods, page by page."""
    query = {"labelSelector": f"kpo-platform/team={team}", "limit": str(PAGE_SIZE)}
    while True:
        page = call_api("GET", f"/api/v1/namespaces/{namespace}/pods?{urllib.parse.urlencode(query)}")
        yield from page["items"]
        query["continue"] = page["metadata"].get("continue", "")
        if not query["continue"]:
            return


def read_finish_time(pod: dict[str, Any]) -> datetime | None:
    """Return the time at which the pod finished, or None if it has not.

    In a final phase this is the end of its last container, or its creation if no end is known; else the end of `base`.
    """
    ends = read_end_times(pod)
    if (pod.get("status") or {}).get("phase") in FINAL_PHASES:
        return datetime.fromisoformat(max(ends.values(), default=pod["metadata"]["creationTimestamp"]))
    return datetime.fromisoformat(ends[BASE]) if BASE in ends and not may_restart_base(pod) else None


def read_end_times(pod: dict[str, Any]) -> dict[str, str]:
    """Return the end of each container that has ended; the kubelet does not know that of a container it has lost."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    ended = {status.get("name", ""): (status.get("state") or {}).get("terminated") or {} for status in statuses}
    return {name: state["finishedAt"] for name, state in ended.items() if (state.get("finishedAt") or "") >= FIRST_TIME}


def may_restart_base(pod: dict[str, Any]) -> bool:
    """Return whether the restart policy of `base`, by default the pod's, lets the kubelet start it again."""
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    policy: str | None = containers.get(BASE, {}).get("restartPolicy") or pod["spec"].get("restartPolicy")
    return policy != "Never"


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
    pods = ((pod, read_finish_time(pod)) for pod in list_pods(team["namespace"], name))
    old_pods = [pod for pod, finish_time in pods if finish_time and finish_time < before]
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
