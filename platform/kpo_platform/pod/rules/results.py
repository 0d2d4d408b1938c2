"""Rule: the result of a task can reach Airflow."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator

from kpo_platform.contract import Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.merge import Json
from kpo_platform.pod.message_result import FIELDS, RESULT_FILE, find_limit
from kpo_platform.pod.xcom import ResultMode

_LEAST_LIMIT = 1024  # of a pod with 12 containers


def check_result_right(mode: str, team_name: str, team: Team) -> Iterator[Refusal]:
    """Refuse a result in an XCom sidecar for a team in whose pods Airflow may run no command."""
    if mode == "sidecar" and not team.rbac.exec:
        yield Refusal(
            "result",
            f"The task's result is read with a command in the XCom sidecar, but team {team_name!r} has rbac.exec false",
            'Use TeamPodOperator with xcom="message" and a supported provider, and without engine="stock", or ask the '
            "platform team to change the team's values.",
        )


def check_result(pod: Json, mode: ResultMode, *, rendered: bool = True) -> Iterator[Refusal]:
    """Check the fields that make a message the result; before Jinja rendering a field may be missing."""
    base = next(each for each in pod["spec"]["containers"] if each.get("name") == BASE)
    if mode != "message":
        if base.get("terminationMessagePath") == RESULT_FILE:
            cause = (
                f'terminationMessagePath of container {BASE!r} is {RESULT_FILE!r}, which is reserved for xcom="message"'
            )
            yield Refusal("result", cause, "Leave it out.")
        return
    for field, required in FIELDS.items():
        value = base.get(field)
        if value != required and (rendered or value is not None):
            yield Refusal(
                "result",
                f"{field} of container {BASE!r} is {value!r}, but the task's result requires {required!r}",
                'Leave it out, or set xcom="sidecar".',
            )
    for path in (mount.get("mountPath") or "" for mount in base.get("volumeMounts") or []):
        if posixpath.normpath("/" + str(path).lstrip("/")) in (RESULT_FILE, posixpath.dirname(RESULT_FILE)):
            fix = "Mount the volume at another path."
            yield Refusal("result", f"A volume is mounted at {path!r}, where the task writes its result", fix)
    if (limit := find_limit(pod)) < _LEAST_LIMIT:
        yield Refusal(
            "result",
            f"The pod has so many containers that Kubernetes reports at most {limit - 1} bytes of the task's result, "
            f"but {_LEAST_LIMIT - 1} are required",
            'Use fewer containers, or set xcom="sidecar".',
        )
