"""What a try of a task remembers from one start of its process to the next, in Airflow's store for task state."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowRescheduleException

if TYPE_CHECKING:
    from airflow.sdk import Context


class TryState:
    """Values under a key, forgotten by the next try. Without a store, as in ``dag.test``, there is none."""

    def __init__(self, context: Context, key: str) -> None:
        self._store: Any = context.get("task_state_store")
        self._try = context["ti"].try_number
        self._key = f"kpo_platform_{key}"

    @property
    def lasts(self) -> bool:
        """Whether anything is remembered at all."""
        return self._store is not None

    def recall(self) -> dict[str, Any]:
        """What this try has kept; empty when it has kept nothing."""
        stored = self._store.get(self._key) if self.lasts else None
        return stored if isinstance(stored, dict) and stored.get("try") == self._try else {}

    def keep(self, **values: Any) -> None:
        """Keep values for the next start of this try."""
        if self.lasts:
            self._store.set(self._key, {**values, "try": self._try})


def build_reschedule(seconds: float) -> Exception:
    """What to raise so that Airflow starts the task again in so many seconds, in the same try."""
    return AirflowRescheduleException(datetime.now(UTC) + timedelta(seconds=seconds))  # type: ignore[no-untyped-call]
