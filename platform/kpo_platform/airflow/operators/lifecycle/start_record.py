"""The record of a task's last pod in Airflow's task state store.

How Airflow 3.3 keeps the store, by its source:

- A row belongs to DAG run, task and map index, not to a try (models/task_state_store.py, `TaskStateStoreModel`;
  api_fastapi/execution_api/routes/task_state_store.py, `_get_task_scope_for_ti`). So a retry, a user's clear
  (models/taskinstance.py, `clear_task_instances`), a reschedule and a deferral all keep it: none of them deletes rows.
- Rows go when the DAG run is deleted (foreign key with CASCADE), when a user or the task deletes them, when the task
  succeeds or is marked so under `[state_store] clear_on_success` (execution_api/routes/task_instances.py; core_api/
  services/public/task_instances.py, `_clear_task_state_store_on_success`), and 30 days after the last write, when
  `airflow state-store clean` or `airflow db clean` runs (state/metastore.py, `cleanup`).
- The id of a task instance is that of a try: every retry, clear and reset by the scheduler changes it
  (models/taskinstance.py, `prepare_db_for_next_try`); a reschedule and a deferral keep id and try number
  (models/dagrun.py, `schedule_tis`; execution_api/routes/task_instances.py, `TIRescheduleStatePayload`).
- Only a clear changes `max_tries` of a task instance, if the task was not running (`clear_task_instances`). That is how
  a clear is told from a retry. A clear of a running task reaches its worker as a stop.

So the record says of which try its pod is. It is written before the pod is created, without a uid: a process that is
killed during the request leaves the pod's name for the next one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "kpo_platform_start"
_STOCK_KEY = "pod_identifier"
"""The stock operator's key, and this package's before this record: name, namespace and, from this package, uid."""


@dataclass(frozen=True)
class StartRecord:
    """The last pod that a task has created, or was about to create. Unknown texts are empty, unknown numbers None.

    Attributes:
        name: the pod's name.
        namespace: the pod's namespace.
        uid: the pod's uid; empty if the answer to its creation was not seen.
        start: the pod's label `START_LABEL`.
        task_instance_id: the id of the task instance, which is another one in every try.
        try_number: the number of that try.
        restart: how often that try has been started again with a new pod.
        max_tries: Airflow's number of tries at that time, which a user's clear changes.
        retries: the task's ``retries`` at that time. A clear adds them to the try's number, so max_tries stays the same
            if they were lowered by the number of tries that were used.
    """

    name: str
    namespace: str
    uid: str = ""
    start: str = ""
    task_instance_id: str = ""
    try_number: int | None = None
    restart: int = 0
    max_tries: int | None = None
    retries: int | None = None

    def with_uid(self, uid: str) -> StartRecord:
        """Return the record of the created pod."""
        return replace(self, uid=uid)

    def is_of_try(self, task_instance_id: str) -> bool:
        """Tell whether the pod is of this try; False if the record does not say it."""
        return self.task_instance_id == task_instance_id != ""

    def is_cleared_since(self, task_instance_id: str, max_tries: int | None, retries: int | None = None) -> bool:
        """Tell whether a user has cleared the task since; False if the record does not say it."""
        known = self.max_tries is not None and self.task_instance_id != ""
        is_changed = (self.max_tries, self.retries) != (max_tries, retries)
        return known and not self.is_of_try(task_instance_id) and is_changed


def read_start_record(context: Context) -> StartRecord | None:
    """Read the record of the task's last pod, also in its older form; None if there is none.

    Raises:
        AirflowRuntimeError: Airflow's API server refused the request.
    """
    store: Any = context.get("task_state_store")
    if store is None:
        return None
    return parse_start_record(store.get(_KEY)) or parse_start_record(store.get(_STOCK_KEY))


def write_start_record(context: Context, record: StartRecord) -> None:
    """Store the record for the next process of this task; nothing happens in ``dag.test``, which has no store."""
    store: Any = context.get("task_state_store")
    if store is not None:
        store.set(_KEY, asdict(record))


def parse_start_record(stored: Any) -> StartRecord | None:
    """Parse a stored record of this or the older form; None if it names no pod."""
    if not isinstance(stored, Mapping):
        return None
    texts = {key: _text(stored.get(key)) for key in ("name", "namespace", "uid", "start", "task_instance_id")}
    if not texts["name"] or not texts["namespace"]:
        return None
    return StartRecord(
        **texts,
        try_number=_integer(stored.get("try_number")),
        restart=max(_integer(stored.get("restart")) or 0, 0),
        max_tries=_integer(stored.get("max_tries")),
        retries=_integer(stored.get("retries")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
