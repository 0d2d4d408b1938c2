"""Run bootstrap's playbook in the test's process, without Ansible. tests/integration runs it with real Ansible."""

from __future__ import annotations

import runpy
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from kpo_platform.bootstrap.ansible import runner

_PROJECT = Path(runner.__file__).parents[1] / "playbook"


class _ModuleExit(BaseException):
    """Exit of a module, instead of the exit of its process."""

    def __init__(self, event: str, result: dict[str, Any]) -> None:
        self.event, self.result = event, result


class _AnsibleModule:
    """The parts of Ansible's AnsibleModule that bootstrap's modules use."""

    check_mode = False

    def __init__(self, params: dict[str, Any], argument_spec: dict[str, dict[str, Any]], **_: Any) -> None:
        defaults = {name: argument.get("default") for name, argument in argument_spec.items()}
        self.params = {**defaults, **params}

    def exit_json(self, **result: Any) -> None:
        raise _ModuleExit("runner_on_ok", result)

    def fail_json(self, **result: Any) -> None:
        raise _ModuleExit("runner_on_failed", result)


def _run_module(name: str, params: dict[str, Any]) -> _ModuleExit:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ansible.module_utils.basic.AnsibleModule", partial(_AnsibleModule, params))
        try:
            runpy.run_path(str(_PROJECT / "library" / f"{name}.py"), run_name="__main__")
        except _ModuleExit as end:
            return end
    raise AssertionError(f"The module {name} ended without a result")


def _run_ansible(_directory: str, path: Path, _timeout: float, handle_event: Any, _stopped: threading.Event) -> str:
    """Run the tasks of the playbook one after the other, until one fails."""
    (play,) = yaml.safe_load((_PROJECT / "bootstrap.yml").read_text(encoding="utf-8"))
    for task in play["tasks"]:
        (module,) = task.keys() - {"name"}
        handle_event({"event": "playbook_on_task_start", "event_data": {"task": task["name"]}})
        end = _run_module(module, {"socket": str(path)})
        handle_event({"event": end.event, "event_data": {"res": end.result}})
        if end.event == "runner_on_failed":
            return "failed"
    return "successful"


@pytest.fixture(autouse=True)
def ansible_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the playbook's modules in this process, with the real channel, writes and events."""
    monkeypatch.setattr(runner, "_run_ansible", _run_ansible)
