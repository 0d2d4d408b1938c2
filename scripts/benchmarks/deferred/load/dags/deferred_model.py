"""The task of `scripts/bench deferred` that is copied thousands of times, for one engine of TeamPodOperator."""

from typing import Any

from airflow.sdk import DAG

from kpo_platform import TeamPodOperator

ENGINE = "team"  # the benchmark replaces the word
TINY = {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}}

# TeamPodOperator defers at once with the first, and has another default of the others.
ENGINE_ARGUMENTS: dict[str, Any] = (
    {"defer_after": 0} if ENGINE == "team" else {"engine": ENGINE, "startup_check_interval_seconds": 5}
)

with DAG(f"deferred_model_{ENGINE}", schedule=None, default_args={"team": "alpha"}):
    task = TeamPodOperator.partial(
        task_id="work",
        image="busybox:1.35",
        cmds=["sleep"],
        container_resources=TINY,
        deferrable=True,
        xcom=False,
        retries=0,
        **ENGINE_ARGUMENTS,
    )
    task.expand(arguments=[["3600"]])
