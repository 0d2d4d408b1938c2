"""The name of a task's pod, derived from the try so that a lost answer of the API server cannot hide the pod."""

from __future__ import annotations

import hashlib
import re

_MAX_LENGTH = 63  # as in the stock operator: the name is the hostname of the pod
_HASH_LENGTH = 10
_NO_NAME = "task"


def build_pod_name(base: str, start_id: str) -> str:
    """Build the name of a pod: the base, shortened if need be, and the id of its start.

    It replaces a name to which the stock operator would add a random suffix. With ``random_name_suffix=False`` the
    author's name stays as it is.

    Args:
        base: the author's ``name``, or the task's id.
        start_id: the id of `build_start_id`.
    """
    slug = re.sub(r"[^a-z0-9.-]+", "-", base.lower()).strip("-.")
    slug = slug[: _MAX_LENGTH - len(start_id) - 1].strip("-.") or _NO_NAME
    return f"{slug}-{start_id}"


def build_start_id(task_instance_id: str, restart: int) -> str:
    """Build the id of one start of a pod: the same when the same start is repeated, different for every other one.

    Args:
        task_instance_id: Airflow's id of the task instance, which is new in every try.
        restart: the number of earlier pods of this try.
    """
    start = f"{task_instance_id}\n{restart}"
    return hashlib.sha256(start.encode()).hexdigest()[:_HASH_LENGTH]
