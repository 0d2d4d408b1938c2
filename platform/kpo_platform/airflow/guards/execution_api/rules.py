"""The rule for every endpoint of Airflow's Execution API, by the endpoint's name.

The endpoints are those of Airflow 3.3, api_fastapi/execution_api/routes, including the ones that only older API
versions have. An integration test compares the table with Airflow's own application.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from kpo_platform.contract import Action

Access = Literal["read", "write"]


@dataclass(frozen=True)
class OwnRule:
    """Always allowed: Airflow itself ties the path to the token (``ti:self`` and ``ct:self`` in security.py).

    These requests come from the supervisor, which would hang or lose the task's state at a 403.
    """


@dataclass(frozen=True)
class OutletRule:
    """Allowed if the task may update all assets that its DAG names as its outlets."""


@dataclass(frozen=True)
class NameRule:
    """Allowed if the task's team may use the connection or variable that the path names."""

    kind: Literal["connection", "variable"]
    parameter: str
    access: Access


@dataclass(frozen=True)
class KeysRule:
    """Always allowed; the answer has only the keys of variables that the task's team may read."""


@dataclass(frozen=True)
class AssetRule:
    """Allowed if the task's team may use the asset, which the query names by these parameters."""

    access: Access
    name: str | None = None
    uri: str | None = None
    alias: str | None = None


@dataclass(frozen=True)
class DagRule:
    """Allowed if the DAG is the team's own, no team's, or one that a grant opens.

    Attributes:
        verb: what the request does with the DAG, as in "cannot trigger DAG x".
        grants: each of these actions allows it; empty if no grant does.
        scope: whose versions of the DAG count besides the present one, because another team may have had a DAG of the
            same id: none for ``dag``, that of the run for ``run``, all for ``history``.
    """

    verb: str
    grants: tuple[Action, ...]
    scope: Literal["dag", "run", "history"] = "dag"


Rule = OwnRule | OutletRule | NameRule | KeysRule | AssetRule | DagRule

_OWN = OwnRule()
_STATE = DagRule("read states of", ("state",))
_DAG_OF_STARTED_RUN = DagRule("read", ("state", "trigger"))
_STATE_OF_STARTED_RUN = DagRule("read states of", ("state", "trigger"), "run")
_RUN_DETAILS = DagRule("read runs of", ("state",), "run")
_PREVIOUS_RUN = DagRule("read runs of", ("state",), "history")
_XCOM_READ = DagRule("read XComs of", ("xcom",), "run")
_XCOM_WRITE = DagRule("write XComs of", (), "run")

RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "ti_run": _OWN,
        "ti_update_state": _OWN,
        "ti_skip_downstream": _OWN,
        "ti_heartbeat": _OWN,
        "ti_put_rtif": _OWN,
        "ti_patch_rendered_map_index": _OWN,
        "get_previous_successful_dagrun": _OWN,
        "validate_inlets_and_outlets": OutletRule(),
        "get_start_date": _OWN,
        "upsert_hitl_detail": _OWN,
        "update_hitl_detail": _OWN,
        "get_hitl_detail": _OWN,
        "get_task_state_store": _OWN,
        "set_task_state_store": _OWN,
        "delete_task_state_store": _OWN,
        "clear_task_state_store": _OWN,
        "get_connection_test_connection": _OWN,
        "patch_connection_test": _OWN,
        "get_connection": NameRule("connection", "connection_id", "read"),
        "get_variable": NameRule("variable", "variable_key", "read"),
        "put_variable": NameRule("variable", "variable_key", "write"),
        "delete_variable": NameRule("variable", "variable_key", "write"),
        "get_variable_keys": KeysRule(),
        "get_dag": _DAG_OF_STARTED_RUN,
        "trigger_dag_run": DagRule("trigger", ("trigger",)),
        "clear_dag_run": DagRule("clear runs of", ("trigger",), "run"),
        "get_dagrun_state": _STATE_OF_STARTED_RUN,
        "get_dag_run": _RUN_DETAILS,
        "get_previous_dagrun": _PREVIOUS_RUN,
        "get_previous_dagrun_compat": _PREVIOUS_RUN,
        "get_dr_count": _STATE,
        "get_task_instance_count": _STATE,
        "get_task_instance_states": _STATE,
        "get_task_instance_breadcrumbs": _STATE,
        "get_previous_task_instance": _STATE,
        "get_xcom": _XCOM_READ,
        "head_xcom": _XCOM_READ,
        "get_mapped_xcom_by_index": _XCOM_READ,
        "get_mapped_xcom_by_slice": _XCOM_READ,
        "set_xcom": _XCOM_WRITE,
        "delete_xcom": _XCOM_WRITE,
        "get_asset_by_name": AssetRule("read", name="name"),
        "get_asset_by_uri": AssetRule("read", uri="uri"),
        "get_assets_by_alias": AssetRule("read", alias="alias_name"),
        "get_asset_event_by_asset_name_uri": AssetRule("read", name="name", uri="uri"),
        "get_asset_event_by_asset_alias": AssetRule("read", alias="name"),
        "get_asset_state_store_by_name": AssetRule("read", name="name"),
        "set_asset_state_store_by_name": AssetRule("write", name="name"),
        "delete_asset_state_store_by_name": AssetRule("write", name="name"),
        "clear_asset_state_store_by_name": AssetRule("write", name="name"),
        "get_asset_state_store_by_uri": AssetRule("read", uri="uri"),
        "set_asset_state_store_by_uri": AssetRule("write", uri="uri"),
        "delete_asset_state_store_by_uri": AssetRule("write", uri="uri"),
        "clear_asset_state_store_by_uri": AssetRule("write", uri="uri"),
    }
)
