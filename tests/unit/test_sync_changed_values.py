"""A restart or retry whose new values allow no new pod takes up its pod nevertheless."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.fake_kubelet import Program
from unit.support.task_faults import at, clear, kill_while_running
from unit.support.task_process import Run, StartTask, Task


def shut_down_while_running(task: Task) -> None:
    """Start the task's pod, and shut down the worker while the program runs."""
    at(task.cluster.now + 5, task.cluster, lambda pod: task.operator.on_kill())
    assert task.run().outcome == "rescheduled"
    task.cluster.on_tick = lambda: None


LOSSES: list[tuple[Callable[[Task], None], Callable[[Task], Run]]] = [
    (shut_down_while_running, Task.run),
    (kill_while_running, Task.retry),
]
EACH_LOSS = pytest.mark.parametrize(("lose", "act"), LOSSES, ids=["restart", "retry"])


def render_name(task: Task, name: str) -> None:
    """Let the task's template render to this name, as after the change of a Variable."""
    build = task.build

    def build_rendered() -> Any:
        operator = build()
        operator.name = name
        return operator

    task.build = build_rendered  # type: ignore[method-assign]


@EACH_LOSS
def test_task_whose_name_has_become_invalid_continues_with_its_pod(
    lose: Callable[[Task], None], act: Callable[[Task], Run], fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    first = task.pod
    lose(task)
    render_name(task, "bad name!")
    run = act(task)
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{first} started", f"{first} finished with 0"])
    said = "warning: No new pod can be created: The key 'bad name!' has to be made of alphanumeric characters"
    assert any(line.startswith(said) for line in run.log)


def test_task_whose_name_has_become_invalid_fails_if_it_needs_a_new_pod(fake_cluster: Cluster, start_task: StartTask):
    task = start_task()
    task.run()
    render_name(task, "bad name!")
    outcome = str(clear(task).outcome)
    assert (outcome.partition(" has ")[0], fake_cluster.created) == ("AirflowException: The key 'bad name!'", 1)


def test_name_is_in_lower_case_as_in_the_stock_operator(fake_cluster: Cluster, start_task: StartTask):
    task = start_task(name="Load_Orders", random_name_suffix=False, on_finish_action="keep_pod")
    assert (task.run().outcome, [*fake_cluster.pods]) == (None, ["load-orders"])
