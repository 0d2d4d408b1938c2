"""A task's result as the termination message of its container: no sidecar, no command in the pod.

The kubelet reads the last 4,096 bytes of the file (`MaxContainerTerminationMessageLength`), and shares 12 KiB among
the containers of a pod (`normalizeStatus`, which cuts at the end). A message that is as long as one of both limits may
be cut, so a result is shorter.
"""

from __future__ import annotations

import json
from typing import Any

from kpo_platform.errors import PodError
from kpo_platform.pod.json_fields import read_object, read_objects
from kpo_platform.pod.merge import Json

RESULT_FILE = "/airflow/xcom/return.json"

_OF_CONTAINER, _OF_POD = 4096, 12_288
_CONTAINERS = ("containers", "initContainers", "ephemeralContainers")


class ResultTooLarge(PodError):  # noqa: N818
    """A result is too large for a termination message."""


class ResultMalformed(PodError):  # noqa: N818
    """A result is no JSON."""


def find_limit(pod: Json) -> int:
    """Return how many bytes a result of this pod must stay below."""
    spec = read_object(pod.get("spec"))
    count = sum(len(read_objects(spec.get(name))) for name in _CONTAINERS)
    return min(_OF_CONTAINER, _OF_POD // max(count, 1))


def parse_result(message: str, limit: int) -> Any:
    """Return the result in the message of a container that has ended with 0; None if it is empty.

    Raises:
        ResultTooLarge: it may be cut.
        ResultMalformed: it is no JSON.
    """
    size = len(message.encode("utf-8", errors="surrogatepass"))
    if size >= limit:
        raise ResultTooLarge(
            f"The result is larger than the {limit - 1:,} bytes that this pod can report",
            'Write it to a file and return its path, or set xcom="sidecar".',
        )
    if not message.strip():
        return None
    try:
        return json.loads(message)
    except ValueError as error:
        raise ResultMalformed(f"The result is not JSON: {error}", f"Write JSON to {RESULT_FILE}.") from None
