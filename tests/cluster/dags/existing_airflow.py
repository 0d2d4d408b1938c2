"""Tasks of team near in an Airflow that the chart does not install: two that are refused, two that work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, BaseOperator, Variable, task
from airflow.triggers.base import BaseTrigger


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
