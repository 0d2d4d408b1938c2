"""Airflow's metrics, including those of teams, and alerts that fire only on their own condition."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from chart.rendering import Object
from cluster.support.airflow_runs.dag_run import Run, push_dag
from cluster.support.rights.airflow_users import push_team_dags
from cluster.support.services.prometheus import MONITORING_VALUES, Prometheus, alert_groups, run_prometheus
from common.paths import REPOSITORY
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.install import install_release
from stack.release import Stack

PERMANENT_METRICS = (
    "airflow_scheduler_heartbeat",
    "airflow_dag_processor_heartbeat",
    "airflow_triggerer_heartbeat",
    "airflow_dag_processing_import_errors",
    "airflow_dag_processing_total_parse_time",
    "airflow_pool_open_slots",
    "airflow_pool_running_slots",
    "airflow_pool_deferred_slots",
    "airflow_pool_scheduled_slots",
    "airflow_executor_open_slots",
    "airflow_executor_running_tasks",
    "airflow_executor_queued_tasks",
    "airflow_scheduler_scheduler_loop_duration_sum",
    "airflow_scheduler_scheduler_loop_duration_count",
    "airflow_triggers_running",
    "airflow_triggerer_capacity_left",
)
"""Metrics of alerts and dashboard that Airflow always sends."""

AIRFLOW = 'namespace="airflow", service="airflow-statsd"'
HEALTHY = {
    f"up{{{AIRFLOW}}}": "1x240",
    f"airflow_scheduler_heartbeat{{{AIRFLOW}}}": "0+12x240",
    f"airflow_dag_processor_heartbeat{{{AIRFLOW}}}": "0+12x240",
    f"airflow_triggerer_heartbeat{{{AIRFLOW}}}": "0+12x240",
    f"airflow_dag_processing_import_errors{{{AIRFLOW}}}": "0x240",
    f"airflow_dag_processing_processor_timeouts{{{AIRFLOW}}}": "1x240",
    f"airflow_task_instances_without_heartbeats_killed{{{AIRFLOW}}}": "1x240",
    f'airflow_pool_scheduled_slots{{{AIRFLOW}, pool_name="team-alpha"}}': "4x240",
    f'airflow_pool_open_slots{{{AIRFLOW}, pool_name="team-alpha"}}': "20x240",
    f'airflow_pool_scheduled_slots{{{AIRFLOW}, pool_name="team-beta"}}': "0x240",
    f'airflow_pool_open_slots{{{AIRFLOW}, pool_name="team-beta"}}': "0x240",
    f'airflow_ti_finish{{{AIRFLOW}, dag_id="nightly", state="failed"}}': "0+1x240",
    f'airflow_ti_finish{{{AIRFLOW}, dag_id="nightly", state="success"}}': "0+9x240",
    f"airflow_scheduler_scheduler_loop_duration_sum{{{AIRFLOW}}}": "0+6x240",
    f"airflow_scheduler_scheduler_loop_duration_count{{{AIRFLOW}}}": "0+60x240",
    f"airflow_executor_open_slots{{{AIRFLOW}}}": "30x240",
    f'airflow_kpo_platform_informer_interrupted_seconds{{{AIRFLOW}, pod_namespace="team-alpha"}}': "0x240",
    f'airflow_kpo_platform_orphans_refused{{{AIRFLOW}, pod_namespace="team-alpha"}}': "0x240",
}
"""Four healthy hours, with a value per minute."""

FAILURES = {
    "AirflowMetricsMissing": {f"up{{{AIRFLOW}}}": "1x60 0x180"},
    "AirflowSchedulerSilent": {f"airflow_scheduler_heartbeat{{{AIRFLOW}}}": "0+12x60 720x180"},
    "AirflowDagProcessorSilent": {f"airflow_dag_processor_heartbeat{{{AIRFLOW}}}": "0+12x60 720x180"},
    "AirflowTriggererSilent": {f"airflow_triggerer_heartbeat{{{AIRFLOW}}}": "0+12x60 _x180"},
    "AirflowImportErrors": {f"airflow_dag_processing_import_errors{{{AIRFLOW}}}": "0x60 2x180"},
    "AirflowDagFileTimeouts": {f"airflow_dag_processing_processor_timeouts{{{AIRFLOW}}}": "1x225 2x15"},
    "AirflowTasksLost": {f"airflow_task_instances_without_heartbeats_killed{{{AIRFLOW}}}": "1x225 3x15"},
    "AirflowPoolStarving": {f'airflow_pool_scheduled_slots{{{AIRFLOW}, pool_name="team-beta"}}': "0x60 4x180"},
    "AirflowTasksFail": {f'airflow_ti_finish{{{AIRFLOW}, dag_id="nightly", state="failed"}}': "0+1x60 61+20x180"},
    "AirflowSchedulerSlow": {f"airflow_scheduler_scheduler_loop_duration_sum{{{AIRFLOW}}}": "0+6x60 366+900x180"},
    "AirflowExecutorFull": {f"airflow_executor_open_slots{{{AIRFLOW}}}": "30x60 0x180"},
    "AirflowPodWatchInterrupted": {
        f'airflow_kpo_platform_informer_interrupted_seconds{{{AIRFLOW}, pod_namespace="team-alpha"}}': "0x60 60+60x180"
    },
    "AirflowOrphansRefused": {
        f'airflow_kpo_platform_orphans_refused{{{AIRFLOW}, pod_namespace="team-alpha"}}': "0x60 1x180"
    },
}
"""Alert → the failing series, from the second hour or in the last quarter."""


@pytest.fixture(scope="module")
def prometheus(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the release, which sends metrics during the tests."""
    values = tmp_path_factory.mktemp("values") / "statsd.yaml"
    values.write_text(yaml.safe_dump({"statsd": MONITORING_VALUES["statsd"]}))
    try:
        install_release(Steps(), stack, values)
        with run_prometheus(stack) as server:
            yield server
    finally:
        install_release(Steps(), stack)


@pytest.fixture(scope="module")
def finished_run(stack: Stack, airflow: AirflowApi, prometheus: Prometheus) -> Run:
    """A finished run of a team's DAG."""
    push_team_dags(stack, airflow)
    run = Run(stack, airflow, "people_alpha", airflow.trigger_run("people_alpha"))
    assert run.wait_for_end() == "success", run.read_log()
    return run


@pytest.mark.parametrize("metric", PERMANENT_METRICS)
def test_metrics_of_alerts_and_dashboard_exist(prometheus: Prometheus, metric: str):
    assert prometheus.wait_for_values(metric)


def test_team_is_identified_by_its_pool(prometheus: Prometheus):
    slots = prometheus.wait_for_values("max by (team) (airflow_pool_open_slots + airflow_pool_running_slots)", "team")
    assert {team: slots.get(team) for team in ("alpha", "beta")} == {"alpha": 128, "beta": 128}


def test_task_end_is_counted_by_dag_and_state(prometheus: Prometheus, finished_run: Run):
    query = 'sum by (state) (airflow_ti_finish{dag_id="people_alpha", task_id="work", state="success"})'
    assert prometheus.wait_for_values(query, "state")["success"] >= 1


def test_deferred_tasks_have_the_metrics_of_the_page(stack: Stack, airflow: AirflowApi, prometheus: Prometheus):
    push_dag(stack, airflow, "alpha", "deferred.py", "deferred_unwatched")
    run = Run(stack, airflow, "deferred_unwatched", airflow.trigger_run("deferred_unwatched"))
    assert run.wait_for_end() == "success", run.task_states()
    text = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    names = re.findall(r"^\| `(airflow_kpo_platform_\w+)` \|", text, re.MULTILINE)
    seen = {name: prometheus.wait_for_values(f"max_over_time({name}[10m])", "pod_namespace") for name in names}
    assert {name: list(values) for name, values in seen.items()} == {name: ["team-alpha"] for name in names}
    assert seen["airflow_kpo_platform_informer_waiting_tasks"]["team-alpha"] == 3
    assert seen["airflow_kpo_platform_informer_interrupted_seconds"]["team-alpha"] < 60


def test_alerts_are_evaluated_and_silent_on_a_healthy_release(prometheus: Prometheus, finished_run: Run):
    def probe() -> dict[str, str]:
        alerts = prometheus.read_alerts()
        if failed := [name for name, alert in alerts.items() if alert["health"] != "ok"]:
            raise NotYet(f"not evaluated: {failed}")
        return {name: alert["state"] for name, alert in alerts.items()}

    states = wait_for("Prometheus to evaluate the alerts", probe, 60, interval_s=2)
    assert sorted(states) == sorted(alert["alert"] for group in alert_groups() for alert in group["rules"])
    assert {name for name, state in states.items() if state == "firing"} == set()


def test_broken_dag_makes_the_import_alert_pending(stack: Stack, prometheus: Prometheus, finished_run: Run):
    url = f"git://{stack.service_address('git-server', 'git')}/beta.git"

    def probe() -> None:
        alert = prometheus.read_alerts()["AirflowImportErrors"]
        if alert["state"] != "pending":
            raise NotYet(f"its state is {alert['state']}")

    try:
        push_files(
            url, {"broken.py": "from airflow.sdk import DAG\nraise RuntimeError('broken')\n"}, "Add a broken DAG"
        )
        wait_for("the alert to be pending", probe, 180, interval_s=2)
    finally:
        push_files(url, {"broken.py": ""}, "Remove the broken DAG")


def alert_test(series: Object, alert_name: str) -> Object:
    """Return a promtool test that expects only this alert after four hours, or none."""
    expressions = {
        True: 'count(ALERTS{alertstate="firing"}) by (alertname)',
        False: 'count(ALERTS{alertstate="firing"})',
    }
    samples = [{"labels": f'{{alertname="{alert_name}"}}', "value": 1}] if alert_name else []
    return {
        "name": alert_name or "a healthy release",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expressions[bool(alert_name)], "eval_time": "239m", "exp_samples": samples}],
    }


def test_each_alert_fires_on_its_failure_only(prometheus: Prometheus):
    rules = {alert["alert"]: alert for group in alert_groups() for alert in group["rules"]}
    assert set(FAILURES) == set(rules)
    tests = [alert_test(HEALTHY, "")]
    tests += [alert_test({**HEALTHY, **failure}, name) for name, failure in FAILURES.items()]
    assert prometheus.run_promtool({"evaluation_interval": "1m", "tests": tests}) == ""
