"""Metrics come out of Airflow, a team's among them, and the alerts fire on what they are about and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from chart.rendering import Object
from cluster.support.airflow_runs.dag_run import Run
from cluster.support.rights.airflow_users import push_team_dags
from cluster.support.services.prometheus import MONITORING_VALUES, Prometheus, alert_groups, run_prometheus
from common.polling import NotYet, wait_for
from common.steps import Steps
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.install import install_release
from stack.release import Stack

STEADY = (
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
"""What alerts and dashboard ask for and Airflow sends whether or not something happens."""

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
}
"""Four healthy hours, a value a minute."""

TROUBLE = {
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
}
"""Alert → what goes wrong after the first hour, or in the last quarter."""


@pytest.fixture(scope="module")
def prometheus(stack: Stack, airflow: AirflowApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that watches the release, which sends metrics as long as it runs."""
    values = tmp_path_factory.mktemp("values") / "statsd.yaml"
    values.write_text(yaml.safe_dump({"statsd": MONITORING_VALUES["statsd"]}))
    try:
        install_release(Steps(), stack, values)
        with run_prometheus(stack) as found:
            yield found
    finally:
        install_release(Steps(), stack)


@pytest.fixture(scope="module")
def ran(stack: Stack, airflow: AirflowApi, prometheus: Prometheus) -> Run:
    """A run of a team's DAG that has ended."""
    push_team_dags(stack, airflow)
    run = Run(stack, airflow, "people_alpha", airflow.trigger_run("people_alpha"))
    assert run.wait_for_end() == "success", run.read_log()
    return run


@pytest.mark.parametrize("metric", STEADY)
def test_what_alerts_and_dashboard_ask_for_comes_out_of_airflow(prometheus: Prometheus, metric: str):
    assert prometheus.wait_for_values(metric)


def test_a_team_is_known_by_its_pool(prometheus: Prometheus):
    slots = prometheus.wait_for_values("max by (team) (airflow_pool_open_slots + airflow_pool_running_slots)", "team")
    assert {team: slots.get(team) for team in ("alpha", "beta")} == {"alpha": 128, "beta": 128}


def test_a_task_s_end_is_counted_by_dag_and_state(prometheus: Prometheus, ran: Run):
    query = 'sum by (state) (airflow_ti_finish{dag_id="people_alpha", task_id="work", state="success"})'
    assert prometheus.wait_for_values(query, "state")["success"] >= 1


def test_the_alerts_are_evaluated_and_none_fires_on_a_healthy_release(prometheus: Prometheus, ran: Run):
    def probe() -> dict[str, str]:
        found = prometheus.read_alerts()
        if unknown := [name for name, alert in found.items() if alert["health"] != "ok"]:
            raise NotYet(f"not evaluated: {unknown}")
        return {name: alert["state"] for name, alert in found.items()}

    states = wait_for("Prometheus to evaluate the alerts", probe, 60, interval_s=2)
    assert sorted(states) == sorted(alert["alert"] for group in alert_groups() for alert in group["rules"])
    assert {name for name, state in states.items() if state == "firing"} == set()


def test_a_file_that_cannot_be_read_is_on_its_way_to_an_alert(stack: Stack, prometheus: Prometheus, ran: Run):
    url = f"git://{stack.service_address('git-server', 'git')}/beta.git"

    def probe() -> None:
        alert = prometheus.read_alerts()["AirflowImportErrors"]
        if alert["state"] != "pending":
            raise NotYet(f"its state is {alert['state']}")

    try:
        push_files(url, {"broken.py": "from airflow.sdk import DAG\nraise RuntimeError('broken')\n"}, "A broken DAG")
        wait_for("the alert to be pending", probe, 180, interval_s=2)
    finally:
        push_files(url, {"broken.py": ""}, "Mend it")


def case(series: Object, trouble: str) -> Object:
    """One test of promtool: the four hours, at the end of which this alert fires and no other; empty for none."""
    fires = {True: 'count(ALERTS{alertstate="firing"}) by (alertname)', False: 'count(ALERTS{alertstate="firing"})'}
    samples = [{"labels": f'{{alertname="{trouble}"}}', "value": 1}] if trouble else []
    return {
        "name": trouble or "a healthy release",
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": fires[bool(trouble)], "eval_time": "239m", "exp_samples": samples}],
    }


def test_each_alert_fires_on_its_trouble_and_a_healthy_release_is_silent(prometheus: Prometheus):
    rules = {alert["alert"]: alert for group in alert_groups() for alert in group["rules"]}
    assert set(TROUBLE) == set(rules)
    tests = [case(HEALTHY, "")]
    tests += [case({**HEALTHY, **trouble}, name) for name, trouble in TROUBLE.items()]
    assert prometheus.run_promtool({"evaluation_interval": "1m", "tests": tests}) == ""
