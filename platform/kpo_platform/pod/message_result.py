"""A task's result as the termination message of its container: no sidecar, no command in the pod.

The kubelet reads the last 4,096 bytes of the file (`MaxContainerTerminationMessageLength`), and reports of them the
first 12,288 divided by the number of containers (`normalizeStatus`): a message that is shorter than both is whole. It
travels as JSON, in which a byte that is not UTF-8 becomes three, so a cut message never looks shorter.
"""

from __future__ import annotations

from kpo_platform.pod.json_fields import read_object, read_objects
from kpo_platform.pod.merge import Json

RESULT_FILE = "/airflow/xcom/return.json"

FIELDS = {"terminationMessagePath": RESULT_FILE, "terminationMessagePolicy": "File"}
"""Fields of a container whose message is the result; with another policy it may be the end of the log."""

_OF_CONTAINER, _OF_POD = 4096, 12_288
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


def find_limit(pod: Json) -> int:
    """Find how many bytes a message of this pod must stay below, to be whole."""
    spec = read_object(pod.get("spec"))
    count = sum(len(read_objects(spec.get(name))) for name in _CONTAINERS)
    return min(_OF_CONTAINER, _OF_POD // max(count, 1))


def count_bytes(text: str) -> int:
    """Count the bytes of UTF-8."""
    return len(text.encode("utf-8", errors="surrogatepass"))
