"""The end of a container of Airflow's pods, as `kubectl describe pod` shows it."""

from __future__ import annotations

from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, Stack

# The pod is scheduled, starts Python and reports its error; the kubelet waits up to 80 s between restarts.
END_S = 300


def wait_for_container_end(stack: Stack, component: str, container: str, code: int, message: str) -> None:
    """Wait until a container of a component's newest pod exits with code and message."""
    selector = f"app.kubernetes.io/component={component}"

    def probe() -> None:
        pods = stack.get("pods", "-n", NAMESPACE, "-l", selector)["items"]
        status = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))["status"]
        containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        states = [
            state
            for status in containers
            if status["name"] == container
            for state in (status["state"], status["lastState"])
        ]
        ends = [state["terminated"] for state in states if "terminated" in state]
        observed = [(end["exitCode"], end.get("message", "").strip().rpartition("\n")[2]) for end in ends]
        if (code, message) not in observed:
            raise NotYet(f"{observed or states}")

    wait_for(f"{container} of the {component} to exit with {message!r}", probe, END_S, interval_s=1)
