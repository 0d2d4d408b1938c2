"""What the Ansible modules share: fetch the work, do it, tell names and whether they changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from kpo_platform.bootstrap.channel import fetch
from kpo_platform.bootstrap.work import Done, Work
from kpo_platform.errors import PlatformError

ARGUMENTS = {"socket": {"type": "path", "required": True}}
"""The arguments of each module; nothing else may pass through Ansible."""


def run(module: Any, part: str, deed: Callable[[Work], Iterator[Done]]) -> None:
    """Be an Ansible module.

    Args:
        module: an ``AnsibleModule`` with our arguments.
        part: the part of the work to fetch.
        deed: does the work, write by write.
    """
    done: list[dict[str, Any]] = []
    try:
        work = fetch(module.params["socket"], part)
        for each in deed(work) if work.writes else ():
            done.append(each.model_dump())
    except PlatformError as error:
        module.fail_json(msg=str(error), done=done)
    module.exit_json(changed=any(each["changed"] for each in done), done=done)
