"""``@task.team_pod``: a Python function in a team's pod, as ``@task.kubernetes`` with the team's agreements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from airflow.providers.cncf.kubernetes.decorators.kubernetes import _KubernetesDecoratedOperator
from airflow.sdk.bases.decorator import TaskDecorator, task_decorator_factory

from kpo_platform.airflow.operators.team_pod import TeamPodOperator


class TeamPodDecoratedOperator(_KubernetesDecoratedOperator, TeamPodOperator):
    """The stock decorated operator above a TeamPodOperator: function and arguments travel in the environment."""

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
        python_callable: the function; its image needs ``python`` and ``bash``, and it sees nothing of this file.
        multiple_outputs: whether a dictionary that it returns becomes one XCom per key.
        **arguments: any argument of TeamPodOperator; ``xcom=True`` for a function that returns something.
    """
    return task_decorator_factory(
        python_callable=python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=TeamPodDecoratedOperator,
        **arguments,
    )
