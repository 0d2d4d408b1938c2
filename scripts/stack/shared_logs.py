"""Task logs that all components share: on a volume of the local cluster's only node, which all pods may mount."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stack.release import NAMESPACE, Stack

CLAIM = "shared-logs"
"""The volume claim's name."""

VALUES: dict[str, Any] = {"logs": {"persistence": {"existingClaim": CLAIM}}}
"""The chart's values for this claim."""


@contextmanager
def shared_log_claim(stack: Stack) -> Iterator[None]:
    """Create the volume claim for the block; after it, no release may use the claim any more."""
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": NAMESPACE},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
    }
    stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(claim))
    try:
        yield
    finally:
        stack.kubectl("delete", "pvc", CLAIM, "-n", NAMESPACE, timeout_s=120)
