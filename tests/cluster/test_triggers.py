"""Triggers that a task names: the triggerer runs no program for one team, and no trigger stops it for all."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

import pytest

from cluster.support.airflow_runs.dag_run import DAGS, Run, push_dag
from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.release import NAMESPACE, RELEASE, Stack

POD = f"{RELEASE}-triggerer-0"
FILES = ("own_token.py", "triggers.py")
MARKER = "/tmp/attack-of-a-trigger"
DEADLINE_S = 1500
"""A task takes seconds to start, and the cluster may have two cores."""

GOOD_S = 30
"""Seconds for which the triggers of the DAG `triggers_TEAM_good` wait."""

LATENESS_S = 30
TRIGGER_END = "Trigger fired event"

POD_TRIGGER = "airflow.providers.cncf.kubernetes.triggers.pod.KubernetesPodTrigger"
JOB_TRIGGER = "airflow.providers.cncf.kubernetes.triggers.job.KubernetesJobTrigger"
STANDARD = "airflow.providers.standard.triggers"
ASK = "Ask the platform team to add the class and its arguments to triggerer.allow."
UNLISTED = f"it is not in the list of allowed triggers. {ASK}"
PLAIN = "Pass only JSON values, dates, times, tuples, sets and UUIDs."
KUBECONFIG = "Put the kubeconfig into the Airflow connection kubernetes_conn_id of the task."
UNREADABLE = "Start the task again; if Airflow's Fernet key was replaced, keep the old key beside the new one."


def refuse(path: str, reason: str) -> str:
    """Return the sentence about a refused trigger."""
    return f"The triggerer refuses the trigger {path!r}: {reason}"


REASONS = {
    "function": refuse("subprocess.getoutput", UNLISTED),
    "system": refuse("os.system", UNLISTED),
    "module": refuse("this.d", UNLISTED),
    "no_class": refuse("getoutput", UNLISTED),
    "callback": refuse("airflow.triggers.callback.CallbackTrigger", UNLISTED),
    "file": refuse(f"{STANDARD}.file.FileTrigger", UNLISTED),
    "alias": refuse("kpo_platform.airflow.guards.triggers.runner.sys.exit", UNLISTED),
    "config_dict": refuse(
        POD_TRIGGER, f"it has config_dict, and the triggerer takes the cluster only from the connection. {KUBECONFIG}"
    ),
    "config_file": refuse(
        JOB_TRIGGER, f"it has config_file, and the triggerer takes the cluster only from the connection. {KUBECONFIG}"
    ),
    # The triggerer does not use these extras. It reads the connection, and finds no pod of this name.
    "connection_extras": '"details":{"name":"absent","kind":"pods"},"code":404}',
    "other_namespace": refuse(POD_TRIGGER, f"pod_namespace is 'team-alpha', but team 'beta' has 'team-beta'. {ASK}"),
    "other_connection": refuse(
        POD_TRIGGER,
        "kubernetes_conn_id is 'alpha_cluster' of team 'alpha', but the task runs for team 'beta'. Use the team's own "
        "connection, or ask the platform team to add the connection to isolation.shared.connections.",
    ),
    "other_dag": refuse(
        f"{STANDARD}.external_task.DagStateTrigger",
        "the DAG 'triggers_alpha_good' belongs to team 'alpha', but the task runs for team 'beta'. Ask the platform "
        "team to add {from: beta, to: alpha, do: [state]} to isolation.grants.",
    ),
    "path_in_name": refuse(
        POD_TRIGGER, "'../../team-alpha/pods/x' is not the name of a pod or Job. Use the object's name."
    ),
    "bogus": "'bogus' is not a valid OnFinishAction",
    "unknown_argument": refuse(POD_TRIGGER, "it has no argument 'command'. Leave the argument out."),
    "missing_argument": "missing 3 required positional arguments: 'pod_name', 'trigger_start_time', and",
    "no_pause": refuse(POD_TRIGGER, "poll_interval is 0. Set it to a number of seconds of at least 0.1."),
    "encrypted": refuse(POD_TRIGGER, f"its arguments cannot be read (InvalidToken). {UNREADABLE}"),
    "text": refuse(POD_TRIGGER, f"its arguments cannot be read (JSONDecodeError). {UNREADABLE}"),
    "object": refuse(
        f"{STANDARD}.temporal.DateTimeTrigger",
        f"its argument 'moment' has an object of class 'airflow.sdk.definitions.connection.Connection'. {PLAIN}",
    ),
    "old_object": refuse(
        f"{STANDARD}.temporal.DateTimeTrigger", f"its argument 'moment' has an object of class 'connection'. {PLAIN}"
    ),
}
"""Attacks of tests/cluster/dags/triggers.py: name → what the task's log says."""


@dataclass(frozen=True)
class Teams:
    """The attacking team beta and the other team alpha, with their DAGs loaded."""

    stack: Stack
    airflow: AirflowApi

    def start(self, team: str, name: str) -> Run:
        """Start a run of the DAG `triggers_TEAM_NAME`."""
        dag = f"triggers_{team}_{name}"
        return Run(self.stack, self.airflow, dag, self.airflow.trigger_run(dag), f"team-{team}")


def build_files(team: str, other: str) -> dict[str, str]:
    """Return the DAG files for a team."""
    texts = {file: (DAGS / file).read_text(encoding="utf-8") for file in FILES}
    return {
        file: text.replace('TEAM, OTHER = "beta", "alpha"', f'TEAM, OTHER = "{team}", "{other}"')
        for file, text in texts.items()
    }


@pytest.fixture(scope="module")
def teams(stack: Stack, airflow: AirflowApi) -> Iterator[Teams]:
    """Both teams with the DAGs, which are removed at the end."""
    urls = {team: f"git://{stack.service_address('git-server', 'git')}/{team}.git" for team in ("alpha", "beta")}
    try:
        for team, other in (("alpha", "beta"), ("beta", "alpha")):
            commit = push_files(urls[team], build_files(team, other), "Add triggers")
            for name in (*REASONS, "good", "immediate", "malformed"):  # Airflow stores them one after another
                airflow.wait_for_version(f"triggers_{team}_{name}", commit)
        yield Teams(stack, airflow)
    finally:
        for url in urls.values():
            push_files(url, dict.fromkeys(FILES, ""), "Remove triggers")


def read_triggerer(stack: Stack) -> tuple[str, int]:
    """Return the uid of the triggerer's pod, and how often its container was restarted."""
    pod = stack.get("pod", POD, "-n", NAMESPACE)
    (status,) = [entry for entry in pod["status"]["containerStatuses"] if entry["name"] == "triggerer"]
    return pod["metadata"]["uid"], status["restartCount"]


def list_markers(stack: Stack) -> str:
    """Return the files that attacks have written in the triggerer's container."""
    command = ("sh", "-c", f"ls {MARKER}* 2>/dev/null; true")
    return stack.kubectl("exec", "-n", NAMESPACE, POD, "-c", "triggerer", "--", *command)


def wait_for_end(run: Run) -> str:
    """Wait for the end of a run, and return its state."""
    return run.airflow.wait_for_run(run.dag, run.id, DEADLINE_S)


@pytest.fixture(scope="module")
def attacks(teams: Teams) -> dict[str, Run]:
    """The finished run of every attack."""
    before = read_triggerer(teams.stack)
    runs = {name: teams.start("beta", name) for name in REASONS}
    for run in runs.values():
        wait_for_end(run)
    assert read_triggerer(teams.stack) == before
    return runs


@pytest.mark.parametrize("name", REASONS)
def test_attack_fails_its_task_with_the_reason(attacks: dict[str, Run], name: str):
    assert attacks[name].task_instance()["state"] == "failed"
    assert REASONS[name] in attacks[name].read_log()


def test_attacks_run_no_program_in_the_triggerer(stack: Stack, attacks: dict[str, Run]):
    assert list_markers(stack) == ""


def test_malformed_triggers_of_one_team_do_not_delay_the_other(teams: Teams):
    before = read_triggerer(teams.stack)
    malformed = teams.start("beta", "malformed")
    good = teams.start("alpha", "good")
    states = [wait_for_end(good), wait_for_end(malformed)]
    assert states == ["success", "failed"], good.read_log()
    ends = read_ends(good)
    waits = [read_waiting_time(good, number, ends) for number in range(20)]
    assert max(waits) < GOOD_S + LATENESS_S, waits
    assert len(teams.airflow.list_task_instances(malformed.dag, malformed.id)) == 100
    assert (read_triggerer(teams.stack), list_markers(teams.stack)) == (before, "")


def read_waiting_time(run: Run, number: int, ends: dict[int, datetime]) -> float:
    """Return the seconds from the deferral of a mapped task to the end of its trigger.

    Airflow 3.3 may lose the last line of a trigger's log. The end of the task's log, which is later, replaces it.
    """
    path = f"dags/{run.dag}/dagRuns/{quote(run.id)}/taskInstances/work/logs/1?map_index={number}&full_content=true"
    entries = [entry for entry in run.airflow.get(path)["content"] if isinstance(entry, dict) and "timestamp" in entry]
    moments = {entry["event"].strip(): datetime.fromisoformat(entry["timestamp"]) for entry in entries}
    end = ends.get(number, max(moments.values()))
    return (end - moments["Pausing task as DEFERRED."]).total_seconds()


def read_ends(run: Run) -> dict[int, datetime]:
    """Return when the triggers of a run's mapped tasks fired, from the triggerer's own log files.

    Airflow 3.3 shows them in the task's log only while the task is deferred, and may lose the last line.
    """
    folder = f"/opt/airflow/logs/dag_id={run.dag}/run_id={run.id}/task_id=work"
    command = ("grep", "-rH", TRIGGER_END, folder)
    lines = run.stack.kubectl("exec", "-n", NAMESPACE, POD, "-c", "triggerer", "--", *command).splitlines()
    pattern = re.compile(r".*/map_index=(\d+)/attempt=1\.log\.trigger\.\d+\.log:(\{.*\})")
    matches = [match for match in map(pattern.fullmatch, lines) if match]
    return {int(match[1]): datetime.fromisoformat(json.loads(match[2])["timestamp"]) for match in matches}


def test_triggers_that_fire_at_once_fail_no_task(teams: Teams):
    run = teams.start("alpha", "immediate")
    assert wait_for_end(run) == "success", teams.airflow.list_task_instances(run.dag, run.id)
    assert len(teams.airflow.list_task_instances(run.dag, run.id)) == 40


def test_malformed_trigger_from_before_the_start_fails_its_task(teams: Teams):
    scale_triggerer(teams.stack, 0)
    try:
        run = teams.start("beta", "bogus")
        wait_for("the task to be deferred", lambda: expect_state(run, "deferred"), DEADLINE_S)
    finally:
        scale_triggerer(teams.stack, 1)
    assert wait_for_end(run) == "failed"
    assert REASONS["bogus"] in run.read_log()
    assert read_triggerer(teams.stack)[1] == 0


def scale_triggerer(stack: Stack, replicas: int) -> None:
    """Change the number of triggerers, and wait until they are ready or gone."""
    workload = f"statefulset/{RELEASE}-triggerer"
    stack.kubectl("scale", workload, "-n", NAMESPACE, f"--replicas={replicas}")
    if replicas:
        stack.kubectl("rollout", "status", workload, "-n", NAMESPACE, "--timeout=600s", timeout_s=620)
    else:
        stack.kubectl("wait", "--for=delete", f"pod/{POD}", "-n", NAMESPACE, "--timeout=180s", timeout_s=190)


def expect_state(run: Run, state: str) -> None:
    """Raise NotYet unless the run's task has a state."""
    if (current := run.task_instance()["state"]) != state:
        raise NotYet(f"it is {current}")


def test_deferrable_task_of_the_stock_operator_succeeds(stack: Stack, airflow: AirflowApi):
    push_dag(stack, airflow, "beta", "triggers_stock.py", "triggers_stock")
    run = Run(stack, airflow, "triggers_stock", airflow.trigger_run("triggers_stock"), "team-beta")
    assert wait_for_end(run) == "success", run.read_log()
    assert "a pod of a stock operator" in run.read_log()
