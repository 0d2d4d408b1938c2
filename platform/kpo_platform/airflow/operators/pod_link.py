"""The link from a task in Airflow's UI to its pod in another UI."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract

if TYPE_CHECKING:
    from airflow.sdk.types import TaskInstanceKey


class PodLink(BaseOperatorLink):
    """The chart's value ``podLink``, filled in with the task's pod. Airflow stores it as an XCom of the try."""

    name = "Pod"

    def get_link(self, operator: Any, *, ti_key: TaskInstanceKey) -> str:
        """Return the URL; empty while the task has no pod."""
        metadata = getattr(getattr(operator, "pod", None), "metadata", None)
        if metadata is None:
            return ""
        url = load_contract().pod_link
        for field in ("namespace", "name", "uid"):
            url = url.replace("{" + field + "}", quote(getattr(metadata, field) or "", safe=""))
        return url


def build_links(contract: Contract) -> tuple[BaseOperatorLink, ...]:
    """Build the links of every task that runs a pod; none unless the chart sets ``podLink``."""
    return (PodLink(),) if contract.pod_link else ()
