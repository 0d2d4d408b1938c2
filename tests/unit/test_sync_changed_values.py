"""A restart or retry whose new values, or the new rules of its team, allow no new pod takes up its pod nevertheless."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException
from airflow.sdk.execution_time.context import set_current_context

from kpo_platform import TeamPodOperator
from unit.support.cluster_server import Cluster
from unit.support.contracts import CONTRACT
from unit.support.fake_kubelet import Program
from unit.support.published_contract import Publish
from unit.support.task_ends import raise_in
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
    said = "warning: Cannot create a new pod: The key 'bad name!' has to be made of alphanumeric characters"
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


# A mapped task, whose single task is created in the worker


def map_image(task: Task) -> None:
    """Let the task be one of a mapped task whose image is another task's result."""
    with DAG("d"):
        image = KubernetesPodOperator(task_id="before", image="busybox:1.35").output
        common = {"task_id": "t", "team": "alpha", "kubernetes_conn_id": "k8s_default", **task.arguments}
        mapped = TeamPodOperator.partial(**common).expand(image=image)

    def unmap() -> Any:
        with set_current_context({"dag": None}):  # type: ignore[typeddict-item]
            task.operator = mapped.unmap({"image": "busybox:1.35"})
        return task.operator

    task.build = unmap  # type: ignore[method-assign]


def forbid_images(publish: Publish) -> None:
    publish(alpha={"images": {**CONTRACT["teams"]["alpha"]["images"], "allow": ["registry.test/*"]}})


@EACH_LOSS
def test_mapped_task_whose_rules_have_changed_continues_with_its_pod(
    lose: Callable[[Task], None],
    act: Callable[[Task], Run],
    fake_cluster: Cluster,
    start_task: StartTask,
    publish: Publish,
):
    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    map_image(task)
    first = task.pod
    lose(task)
    forbid_images(publish)
    run = act(task)
    assert (run.outcome, fake_cluster.ledger) == (None, [f"{first} started", f"{first} finished with 0"])
    said = "warning: Cannot create a new pod: The image 'busybox:1.35' of container 'base' is not allowed"
    assert any(line.startswith(said) for line in run.log)


def test_mapped_task_whose_value_is_refused_starts_no_pod_and_is_not_retried(
    fake_cluster: Cluster, start_task: StartTask, publish: Publish
):
    task = start_task()
    map_image(task)
    forbid_images(publish)
    run = task.run()
    assert (str(run.outcome).partition(" of ")[0], isinstance(run.error, AirflowFailException), run.requests) == (
        "RefusedPod: The image 'busybox:1.35'",
        True,
        [],
    )


@pytest.mark.parametrize("name", ["on_pod_manifest_created", "build_pod_request_obj"])
def test_exit_while_a_new_pod_is_built_leaves_a_retry_its_former_pod(
    name: str, fake_cluster: Cluster, start_task: StartTask
):
    class Building(TeamPodOperator):
        def build_pod_request_obj(self, context: Any = None, **options: Any) -> Any:
            raise SystemExit(1)

    fake_cluster.programs["base"] = Program(runs_s=100)
    task = start_task()
    kill_while_running(task)
    if name == "build_pod_request_obj":
        task.operator_class = Building
    else:
        task.arguments["callbacks"] = raise_in(name, SystemExit(1))
    run = task.retry()
    assert (run.outcome, len(fake_cluster.ledger)) == (None, 2)
    assert [line for line in run.log if "Cannot create" in line] == [
        f"warning: Cannot create a new pod: The task's {name} failed: SystemExit: 1. The task looks for its former pod "
        f"{next(iter(fake_cluster.ledger)).split()[0]}."
    ]
