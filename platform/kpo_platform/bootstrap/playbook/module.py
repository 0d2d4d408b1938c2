"""What the Ansible modules share: get the work, do it, tell names and whether they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kpo_platform.bootstrap.ansible.channel import fetch_payload
from kpo_platform.bootstrap.ansible.payload import CONNECTIONS, TaskPayload, WriteResult
from kpo_platform.bootstrap.playbook import standalone
from kpo_platform.bootstrap.playbook.standalone import TaskPlan
from kpo_platform.errors import PlatformError

SPECIFICATION: dict[str, Any] = {
    "argument_spec": {"socket": {"type": "path"}, **standalone.ARGUMENTS},
    "supports_check_mode": True,
}
"""How each ``AnsibleModule`` is made. No argument is a secret: there is the path of a socket on which platformctl
serves the work, or what a person says by hand."""


def run_module(module: Any, part: str, deed: Callable[[TaskPayload], Iterator[WriteResult]]) -> None:
    """Be an Ansible module.

    Args:
        module: an ``AnsibleModule`` of our specification.
        part: the part of the work to get.
        deed: does the work, write by write.
    """
    done: list[dict[str, Any]] = []
    try:
        with _load_task_plan(module, part) as planned:
            writes = planned.work.writes
            idle = module.check_mode or planned.refusal or not writes
            for each in () if idle else deed(planned.work):
                done.append(each.model_dump())
    except PlatformError as error:
        module.fail_json(msg=str(error), done=done)
    told = {"done": done, "plan": list(planned.plan)}
    if planned.refusal or (planned.blocked and part == CONNECTIONS):  # the last task: everything else is done
        why = planned.refusal or "Cannot be as the contract wants it:"
        module.fail_json(msg=f"{why} {'. '.join(planned.blocked)}", **told)
    module.exit_json(changed=bool(writes) if module.check_mode else any(each["changed"] for each in done), **told)


@contextmanager
def _load_task_plan(module: Any, part: str) -> Iterator[TaskPlan]:
    socket = module.params["socket"]
    if socket:
        yield TaskPlan(fetch_payload(socket, part), (), ())
    else:
        with standalone.plan_task(module.params, part, dry_run=module.check_mode) as planned:
            yield planned
