"""The record of a task's last pod in Airflow's task state store.

How Airflow 3.3 keeps the store, by its source:

- A row belongs to DAG run, task and map index (models/task_state_store.py). A retry, a clear, a reschedule and a
  deferral keep it. It goes with its DAG run, when a user deletes it, when the task succeeds under
  `[state_store] clear_on_success`, and by `airflow state-store clean` or `airflow db clean` after 30 days.
- The id of a task instance is that of a try: every retry, clear and reset by the scheduler changes it
  (models/taskinstance.py, `prepare_db_for_next_try`); a reschedule and a deferral keep id and try number.
- Only a clear of a task that does not run changes its `max_tries` (`clear_task_instances`): so it is told from a retry.
- A clear of a running task stops its process, and gives the task instance another id at once. Airflow then refuses
  what the process writes to the store (execution_api/routes/task_state_store.py), but not its XComs. So an XCom marks
  the pod as stopped. The next try deletes it, and its first process gets its key for that
  (sdk/execution_time/task_runner.py, `run`), which puts it into the record.

So the record says of which try its pod is. It is written before the pod is created, without a uid: a process that is
killed during the request leaves the pod's name for the next one.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.operators.lifecycle.task_state import (
    is_task_active,
    read_patiently,
    read_stored,
    try_to_store,
    write_stored,
)
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.identity import START_LABEL
from kpo_platform.pod.json_fields import read_integer, read_text
from kpo_platform.pod.merge import Json
from kpo_platform.pod.state import PodState

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "kpo_platform_start"
_STOCK_KEY = "pod_identifier"
"""The stock operator's key, and this package's before this record: name, namespace and, from this package, uid."""

_STOPPED_PREFIX = "kpo_platform_stopped_"
_STOPPED_TIMEOUT_S = 1.0  # the supervisor kills a stopped process after five seconds

_LONGEST_NAME = 63  # as in the stock operator: the name is the hostname of the pod
_ID_LENGTH = 10


@dataclass(frozen=True)
class StartRecord:
    """The last pod that a task has created, or was about to create. Unknown texts are empty, unknown numbers None.

    Attributes:
        uid: the pod's uid; empty if the answer to its creation was not seen, or could not be stored.
        start: the pod's label `START_LABEL`.
        restart: how often that try has been started again with a new pod.
        retries: the task's ``retries`` at that time. A clear adds them to the try's number, so max_tries stays the same
            if they were lowered by the number of tries that were used.
        is_stopped: whether the pod was marked as stopped.
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
    is_stopped: bool = False

    def with_uid(self, uid: str) -> StartRecord:
        """Return the record of the created pod."""
        return replace(self, uid=uid)

    def build_stub(self) -> Json:
        """Build what is known of the pod without a look at it."""
        labels = {START_LABEL: self.start} if self.start else {}
        return {"metadata": {"name": self.name, "namespace": self.namespace, "uid": self.uid, "labels": labels}}

    def is_of_try(self, task_instance_id: str) -> bool:
        """Tell whether the pod is of this try; False if the record does not say it."""
        return self.task_instance_id == task_instance_id != ""

    def is_cleared_since(
        self, task_instance_id: str, max_tries: int | None, retries: int | None = None, try_number: int | None = None
    ) -> bool:
        """Tell whether a user has cleared the task since; False if the record does not say it."""
        if self.max_tries is None or self.task_instance_id == "" or self.is_of_try(task_instance_id):
            return False
        return max_tries != self.max_tries or self._may_hide_clear(retries, try_number)

    def _may_hide_clear(self, retries: int | None, try_number: int | None) -> bool:
        """Tell whether a clear with other ``retries`` would have left max_tries as it was.

        A clear sets max_tries to the number of the try that it clears plus the retries. That try is the record's or a
        later one, and not this one.
        """
        if self.max_tries is None or self.try_number is None or retries is None or try_number is None:
            return False
        return retries != self.retries and self.try_number <= self.max_tries - retries < try_number

    def is_marked_stopped(self, context: Context) -> bool:
        """Tell whether an earlier try has marked the pod; only the first process of a try can see it."""
        start_context = getattr(context["ti"], "_ti_context_from_server", None)
        return self._stopped_key in (getattr(start_context, "xcom_keys_to_clear", None) or ())

    def mark_stopped(self, context: Context) -> None:
        """Mark the pod for the case that the process is killed before it has deleted it; a failure is logged."""
        problems = [f"Airflow has not answered within {_STOPPED_TIMEOUT_S:g} s"]

        def push() -> None:
            try:
                context["ti"].xcom_push(key=self._stopped_key, value=True)
                problems.clear()
            except Exception as error:
                problems[:] = [sanitize(error)]

        thread = threading.Thread(target=push, daemon=True)
        thread.start()
        thread.join(_STOPPED_TIMEOUT_S)
        for problem in problems:
            context["task"].log.warning("Cannot mark pod %s as stopped: %s", self.name, problem)

    @property
    def _stopped_key(self) -> str:
        return f"{_STOPPED_PREFIX}{self.start or self.uid or self.name}"


def note_stop(context: Context, pod: PodState) -> None:
    """Mark the pod if a user has stopped the task: the next process then takes neither the pod nor its stored end."""
    if not is_task_active(context):
        StartRecord(pod.name, pod.namespace, pod.uid, pod.labels.get(START_LABEL, "")).mark_stopped(context)


def read_start_record(context: Context) -> StartRecord | None:
    """Read the record of the task's last pod, also in its older form; None if there is none."""
    new = parse_start_record(read_stored(context, _KEY))
    return new or parse_start_record(read_stored(context, _STOCK_KEY))


def await_start_record(context: Context) -> StartRecord | None:
    """Read the record as `read_patiently`."""
    return read_patiently(context, partial(read_start_record, context))


def read_former_record(context: Context, log: Any) -> StartRecord | None:
    """Read the record patiently, and keep in it that its pod was stopped: later processes need it, too."""
    record = await_start_record(context)
    if record is None or record.is_stopped or not record.is_marked_stopped(context):
        return record
    stopped = replace(record, is_stopped=True)
    try_to_store("that the former pod was stopped", lambda: write_start_record(context, stopped), log)
    return stopped


def find_start_record(context: Context, name: str, namespace: str, *, is_patient: bool = False) -> StartRecord:
    """Find the record of this pod; a new one without a uid if there is none, or Airflow does not tell it.

    If other pods may have the name, `is_patient` reads as `read_patiently`.

    Raises:
        Exception: Airflow does not tell it, and other pods may have the name.
    """
    operator: Any = context["task"]
    read = partial(read_start_record, context)
    is_needed = not operator.random_name_suffix
    try:
        record = read_patiently(context, read, name, namespace) if is_patient and is_needed else read()
    except Exception as error:
        if is_needed:
            raise
        operator.log.warning("Airflow does not tell the uid of pod %s: %s", name, sanitize(error))
        record = None
    unknown = StartRecord(name, namespace)
    return record if record and (record.name, record.namespace) == (name, namespace) else unknown


def write_start_record(context: Context, record: StartRecord) -> None:
    """Store the record for the next process of this task."""
    write_stored(context, _KEY, asdict(record))


def parse_start_record(stored: Any) -> StartRecord | None:
    """Parse a stored record of this or the older form; None if it names no pod."""
    if not isinstance(stored, Mapping):
        return None
    fields: dict[str, Any] = {key: read_integer(stored.get(key)) for key in ("try_number", "max_tries", "retries")}
    fields |= {key: read_text(stored.get(key)) for key in ("name", "namespace", "uid", "start", "task_instance_id")}
    if not fields["name"] or not fields["namespace"]:
        return None
    restart, is_stopped = max(read_integer(stored.get("restart")) or 0, 0), stored.get("is_stopped") is True
    return StartRecord(**fields, restart=restart, is_stopped=is_stopped)


def build_pod_name(base: str, start_id: str) -> str:
    """Build the name of a pod from the author's ``name`` or the task's id, shortened if need be, and the start's id."""
    slug = re.sub(r"[^a-z0-9.-]+", "-", base.lower()).strip("-.")
    return f"{slug[: _LONGEST_NAME - len(start_id) - 1].strip('-.') or 'task'}-{start_id}"


def build_start_id(task_instance_id: str, restart: int) -> str:
    """Build the id of one start: the same when it is repeated, so that a lost answer cannot hide the pod."""
    return hashlib.sha256(f"{task_instance_id}\n{restart}".encode()).hexdigest()[:_ID_LENGTH]
