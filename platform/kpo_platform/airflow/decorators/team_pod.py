"""The decorator ``@task.team_pod``: run a Python function in a team's pod."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.decorators.kubernetes import _KubernetesDecoratedOperator
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from kpo_platform.airflow.operators.team_pod import TeamPodOperator


class TeamPodDecoratedOperator(_KubernetesDecoratedOperator, TeamPodOperator):
    """TeamPodOperator that passes a function and its arguments to the pod in environment variables."""

    custom_operator_name = "@task.team_pod"

    template_fields: Sequence[str] = (
        "op_args",
        "op_kwargs",
        *(field for field in TeamPodOperator.template_fields if field not in ("cmds", "arguments")),
    )


def team_pod_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool | None = None, **arguments: Any
) -> TaskDecorator:
    """Run a Python function in a team's pod.

    Args:
        python_callable: the function. Only its own source reaches the pod, so it must import what it uses itself. The
            image needs ``python`` and ``bash``.
        multiple_outputs: whether a returned dictionary becomes one XCom per key.
        **arguments: any argument of TeamPodOperator; set ``xcom=True`` to return a value.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=TeamPodDecoratedOperator,
        **arguments,
    )
