"""triggers.team_pod: stored triggers of every release can be created by the present one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.module_loading import import_string

from kpo_platform.airflow.guards.triggers.default_triggers import DEFAULT_TRIGGERS
from unit.support.pod_trigger import build_trigger

PATH = "kpo_platform.airflow.triggers.team_pod.TeamPodTrigger"

PROVIDER_10_22: dict[str, Any] = {
    "pod_name": "load-1",
    "pod_namespace": "team-alpha",
    "base_container_name": "base",
    "kubernetes_conn_id": "k8s_default",
    "connection_extras": None,
    "poll_interval": 2,
    "cluster_context": None,
    "config_dict": None,
    "in_cluster": None,
    "get_logs": True,
    "startup_timeout": 300,
    "startup_check_interval": 5,
    "schedule_timeout": 86400,
    "trigger_start_time": datetime(2026, 11, 30, 9, tzinfo=UTC),
    "on_finish_action": "delete_pod",
    "on_kill_action": "delete_pod",
    "termination_grace_period": None,
    "last_log_time": None,
    "logging_interval": None,
    "trigger_kwargs": {"_redefer_count": 1},
}
"""The arguments of the provider's trigger."""

RELEASED: dict[str, dict[str, Any]] = {
    "2026-11": {**PROVIDER_10_22, "pod_uid": "5b0c", "start": "20e0cf0c37", "finish": None},
    "2026-11, with a plan": {
        **PROVIDER_10_22,
        "pod_uid": "5b0c",
        "start": "20e0cf0c37",
        "finish": {
            "positions": {
                "base": {"stamp": "2026-11-30T09:00:06.100000000", "count": 1, "is_boundary": False, "latest": ""},
                "aside": None,
            },
            "has_result": True,
            "has_prefix": True,
            "links": {"_link_PodLink": "https://console.test/load-1"},
        },
    },
}
"""A stored form of each release that had another one than before. Do not change one: add the new one."""


@pytest.mark.parametrize("form", RELEASED.values(), ids=RELEASED.keys())
def test_stored_trigger_of_a_release_is_created_and_allowed(form: dict[str, Any]):
    trigger = import_string(PATH)(**form)
    _, stored = trigger.serialize()
    assert stored.items() >= form.items()
    assert form.keys() <= DEFAULT_TRIGGERS[PATH].arguments


def test_present_form_is_among_the_released_ones():
    path, stored = build_trigger().serialize()
    provider_only = stored.keys() - list(RELEASED.values())[-1].keys()
    assert path == PATH
    assert provider_only <= {"log_events_on_startup"}, "add the new form to RELEASED"


@pytest.mark.parametrize(
    "changed",
    [
        {"on_finish_action": "archive_pod"},
        {"on_kill_action": "ask_first"},
        {"on_kill_action": None},
        {"on_kill_action": ["delete_pod"]},
        {"argument_of_a_later_release": 1},
    ],
)
def test_stored_trigger_that_cannot_be_created_is_a_wrong_argument(changed: dict[str, Any]):
    """Airflow fails the task then; every other error ends the triggerer, with the triggers of all teams."""
    with pytest.raises(TypeError):
        import_string(PATH)(**{**PROVIDER_10_22, **changed})


def test_stored_trigger_without_a_needed_argument_is_a_wrong_argument():
    with pytest.raises(TypeError):
        import_string(PATH)(**{key: value for key, value in PROVIDER_10_22.items() if key != "pod_name"})
