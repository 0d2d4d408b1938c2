"""How a container of Airflow's pods ended: what people see by `kubectl describe pod`."""

from __future__ import annotations

from common.polling import NotYet, wait_for
from stack.release import NAMESPACE, Stack

# A pod is scheduled, starts Python, and says what is wrong; the kubelet waits up to 80 s between some tries.
END_S = 300


def wait_for_last_words(stack: Stack, component: str, container: str, code: int, words: str) -> None:
    """Wait until a container of the component's newest pod has ended with an exit code and a last line."""
    selector = f"app.kubernetes.io/component={component}"

    def probe() -> None:
        pods = stack.get("pods", "-n", NAMESPACE, "-l", selector)["items"]
        status = max(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))["status"]
        containers = [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]
        states = [state for one in containers if one["name"] == container for state in (one["state"], one["lastState"])]
        ends = [state["terminated"] for state in states if "terminated" in state]
        seen = [(end["exitCode"], end.get("message", "").strip().rpartition("\n")[2]) for end in ends]
        if (code, words) not in seen:
            raise NotYet(f"{seen or states}")

    wait_for(f"{container} of the {component} to end with {words!r}", probe, END_S, interval_s=1)
