"""The tasks of `scripts/bench deferred` without a pod: Airflow's own share of the time."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import DAG, BaseOperator, task, timezone

with DAG("deferred_python", schedule=None):

    @task(task_id="work", do_xcom_push=False)
    def work() -> None:
        """Do nothing."""

    work()

with DAG("deferred_python_many", schedule=None):

    @task(task_id="work", do_xcom_push=False)
    def say_done(number: int) -> None:
        """Print the line by which the benchmark knows the task."""
        print(f"done {number}")

    say_done.expand(number=list(range(100)))


class DeferredOperator(BaseOperator):
    """A task that ends in the triggerer at once, or in a worker after that."""

    def __init__(self, *, ends_in_worker: bool, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.ends_in_worker = ends_in_worker

    def execute(self, context: Any) -> None:
        """Defer until a time that is over."""
        moment = timezone.utcnow() - timedelta(seconds=1)
        trigger = DateTimeTrigger(moment=moment, end_from_trigger=not self.ends_in_worker)
        self.defer(trigger=trigger, method_name="resume")

    def resume(self, context: Any, event: Any) -> None:
        """Do nothing."""


for place in ("triggerer", "worker"):
    with DAG(f"deferred_{place}", schedule=None):
        DeferredOperator(task_id="work", ends_in_worker=place == "worker")
