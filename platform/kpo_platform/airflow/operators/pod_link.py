"""The link from a task in Airflow's UI to its pod, wherever the platform's people look at pods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from kpo_platform import contract

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class PodLink(BaseOperatorLink):
    """``podLink`` of the chart's values, filled in with the task's pod; Airflow keeps it as an XCom of the try."""

    name = "Pod"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """The address, or nothing while the task has no pod."""
        metadata = getattr(getattr(operator, "pod", None), "metadata", None)
        if metadata is None:
            return ""
        filled = contract.load().pod_link
        for field in ("namespace", "name", "uid"):
            filled = filled.replace("{" + field + "}", quote(getattr(metadata, field) or "", safe=""))
        return filled


def build_links(whole: contract.Contract) -> tuple[BaseOperatorLink, ...]:
    """The links of every task that runs a pod; none where the platform gives no address."""
    return (PodLink(),) if whole.pod_link else ()
