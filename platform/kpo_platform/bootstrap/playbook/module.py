"""Run one of bootstrap's Ansible modules.

A module gets the writes of its task from platformctl, or plans them itself (`standalone`). It writes, and reports names
and changes.
"""

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
"""Arguments of each ``AnsibleModule``. None is secret.

They are the path of the socket on which platformctl serves the payload, or the options of a standalone run.
"""


def run_module(module: Any, task: str, write: Callable[[TaskPayload], Iterator[WriteResult]]) -> None:
    """Run an Ansible module; it ends the process.

    Args:
        module: an ``AnsibleModule`` made from `SPECIFICATION`.
        task: the task, `OBJECTS` or `CONNECTIONS`.
        write: writes a payload and yields the result of each write.
    """
    results: list[dict[str, Any]] = []
    try:
        with _load_task_plan(module, task) as task_plan:
            writes_nothing = module.check_mode or task_plan.refusal or not task_plan.payload.writes
            for result in () if writes_nothing else write(task_plan.payload):
                results.append(result.model_dump())
    except PlatformError as error:
        module.fail_json(msg=str(error), done=results)
    _report(module, task, task_plan, results)


def _report(module: Any, task: str, task_plan: TaskPlan, results: list[dict[str, Any]]) -> None:
    content = {"done": results, "plan": list(task_plan.descriptions)}
    if task_plan.refusal or (task_plan.blocked and task == CONNECTIONS):  # the last task, so the other writes are done
        reason = task_plan.refusal or "Some objects cannot change to match the contract:"
        module.fail_json(msg=f"{reason} {'. '.join(task_plan.blocked)}", **content)
    has_changed = any(result["changed"] for result in results)
    module.exit_json(changed=bool(task_plan.payload.writes) if module.check_mode else has_changed, **content)


@contextmanager
def _load_task_plan(module: Any, task: str) -> Iterator[TaskPlan]:
    socket = module.params["socket"]
    if socket:
        yield TaskPlan(fetch_payload(socket, task), (), ())
    else:
        with standalone.plan_task(module.params, task, dry_run=module.check_mode) as task_plan:
            yield task_plan
