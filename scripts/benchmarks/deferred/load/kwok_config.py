"""What kwok is told about its node, and how the node's pods start, end and are deleted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

NODE = "kwok-deferred"

MARK = "kpo-platform.test/kwok"
"""The annotation of the node, by which kwok knows it, and the key of its taint."""

END_AFTER = "kpo-platform.test/end-after"
"""The annotation of a pod with its end, in seconds after the time from which pods end."""

MESSAGE = "kpo-platform.test/message"
"""The annotation of a pod with the termination message of its containers; without it they have none."""

NEVER = 4e9
"""A time from which pods end that does not come."""

_STAGES = Path(__file__).with_name("kwok") / "stages.yaml"


def build_node() -> dict[str, Any]:
    """Build the node, with a taint because of which no real pod is placed there."""
    taint = {"key": MARK, "value": "true", "effect": "NoSchedule"}
    metadata = {"name": NODE, "annotations": {MARK: "true"}, "labels": {"kubernetes.io/hostname": NODE}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"taints": [taint]}}


def render_config(log: Path, ends_from: float) -> str:
    """Render the configuration file.

    Args:
        log: the log of every container.
        ends_from: the time from which pods end, in seconds since 1970, see `END_AFTER`.
    """
    stages = _STAGES.read_text(encoding="utf-8")
    return stages.replace("ENDS_FROM", f"{ends_from:.3f}").replace("LOG_FILE", json.dumps(str(log)))


def render_log(lines: Sequence[str]) -> str:
    """Render the log of a container in the format of the container runtime."""
    return "".join(f"2026-01-01T00:00:{number:02}.000000000Z stdout F {line}\n" for number, line in enumerate(lines, 1))
