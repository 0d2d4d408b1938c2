"""Tasks of team near in an Airflow that the chart does not install: two that are refused, three that work."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.providers.cncf.kubernetes.callbacks import KubernetesPodOperatorCallback
from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, BaseOperator, Variable, task
from airflow.triggers.base import BaseTrigger

from kpo_platform import TeamPodOperator

STOPPED = Path("/tmp/stopped")


class FunctionTrigger(BaseTrigger):
    """A trigger that names a function instead of its own class."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the function and its arguments."""
        return "subprocess.getoutput", {"cmd": "touch /tmp/attack-of-a-trigger"}

    async def run(self) -> Any:
        """Never run."""
        raise NotImplementedError
        yield


class WaitOperator(BaseOperator):
    """Defer to a trigger."""

    def __init__(self, kind: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.kind = kind

    def execute(self, context: Any) -> None:
        """Defer."""
        moment = datetime.now(UTC) + timedelta(seconds=10)
        trigger = FunctionTrigger() if self.kind == "function" else DateTimeTrigger(moment)
        self.defer(trigger=trigger, method_name="resume")

    def resume(self, context: Any, event: Any = None) -> None:
        """End."""


class StopOnce(KubernetesPodOperatorCallback):
    """Send the first process of the task the signal of a worker that shuts down, once its pod runs."""

    @staticmethod
    def on_pod_starting(**_: Any) -> None:
        """Stop."""
        if not STOPPED.exists():
            STOPPED.touch()
            os.kill(os.getpid(), signal.SIGTERM)


with DAG("existing", schedule="@once", start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args={"retries": 0}):

    @task
    def own() -> None:
        """Change a variable of the own team."""
        Variable.set("near_key", "changed by near")

    @task
    def other() -> None:
        """Change a variable of the other team."""
        Variable.set("far_key", "changed by near")

    own(), other()
    WaitOperator(task_id="function", kind="function")
    WaitOperator(task_id="wait", kind="wait")
    TeamPodOperator(
        task_id="pod",
        team="near",
        image="busybox:1.35",
        cmds=["sleep", "40"],
        deferrable=False,
        callbacks=[StopOnce],
        on_finish_action="keep_pod",
        pool="default_pool",
    )
