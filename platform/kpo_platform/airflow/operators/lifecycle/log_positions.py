"""How far the logs of a try's pod have been written, in Airflow's task state store.

A worker that shuts down stores it, and the next process of the try continues its log there. A process that is killed
stores nothing: Airflow 3.3 begins a new try, with a log of its own (models/taskinstance.py, `prepare_db_for_next_try`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from kpo_platform.airflow.operators.lifecycle.start_record import StartRecord
from kpo_platform.airflow.operators.lifecycle.task_state import TryState
from kpo_platform.pod.cluster_text import sanitize
from kpo_platform.pod.compose import BASE
from kpo_platform.pod.json_fields import read_object
from kpo_platform.pod.log_lines import SECOND_WIDTH, LogPosition

if TYPE_CHECKING:
    from airflow.sdk import Context

_KEY = "log_positions"


@dataclass(frozen=True)
class LogProgress:
    """How far the logs of a pod have been written in this try."""

    positions: Mapping[str, LogPosition] = field(default_factory=dict)  # the last written lines by container
    is_unknown: bool = False  # a process may have written more, because it was killed
    has_begun: bool = False  # a process of this try has followed the logs, and was interrupted

    @property
    def last_log_time(self) -> datetime | None:
        """From when on the stock trigger reads the program's log."""
        position = self.positions.get(BASE)
        if position is None:
            return None
        time = datetime.fromisoformat(f"{position.stamp}Z")
        return time + timedelta(seconds=1) if position.is_boundary else time

    def after_trigger(self, last_log_time: datetime | str | None) -> LogProgress:
        """Return the progress after the trigger has written the program's log up to this time of its event."""
        of_trigger, of_worker = LogPosition.at(last_log_time), self.positions.get(BASE)
        if of_trigger is None or (of_worker and of_worker.stamp[:SECOND_WIDTH] > of_trigger.stamp):
            return self
        return replace(self, positions={**self.positions, BASE: of_trigger})


def read_log_progress(context: Context, uid: str, log: Any, former: StartRecord | None = None) -> LogProgress:
    """Read what processes of this try have written of a pod's logs; the task does not fail if that cannot be read.

    `former` is the record of the pod that a process of the task has waited for before.
    """
    try:
        stored = TryState(context, _KEY).read()
    except Exception as error:
        stored = {}
        log.warning("Cannot read how far the log was written: %s", sanitize(error))
    if not uid or stored.get("uid") != uid:
        is_of_try = former is not None and former.uid == uid and former.is_of_try(str(context["ti"].id))
        return LogProgress(is_unknown=is_of_try, has_begun=is_of_try)
    parsed = {name: _parse_position(each) for name, each in read_object(stored.get("containers")).items()}
    positions = {name: position for name, position in parsed.items() if position is not None}
    return LogProgress(positions, has_begun=True)


def write_log_progress(context: Context, uid: str, positions: Mapping[str, LogPosition], log: Any) -> bool:
    """Store what this process has written of a pod's logs; tell whether that was possible."""
    containers = {name: asdict(position) for name, position in positions.items()}
    try:
        TryState(context, _KEY).write(uid=uid, containers=containers)
    except Exception as error:
        log.warning("Cannot store how far the log was written: %s", sanitize(error))
        return False
    return True


def _parse_position(stored: Any) -> LogPosition | None:
    values = read_object(stored)
    stamp, count, latest = values.get("stamp"), values.get("count"), values.get("latest")
    if not isinstance(stamp, str) or not stamp:
        return None
    count, latest = count if isinstance(count, int) else 0, latest if isinstance(latest, str) else ""
    return LogPosition(stamp, count, values.get("is_boundary") is True, latest)
