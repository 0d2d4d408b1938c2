"""A DAG in team alpha's repository that aims at team beta is refused, whichever way it aims; beta gets no pod."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from common.polling import NotYet, wait_for
from stack.airflow_api import AirflowApi
from stack.git_push import push_files
from stack.release import Stack

DAG = """
from airflow.sdk import DAG
from kpo_platform import TeamPodOperator

with DAG("{name}", schedule=None, params={{"aim": "team-beta"}}, default_args={{"retries": 2}}):
    TeamPodOperator(task_id="run", image="busybox:1.35", cmds=["true"], {aim})
"""
ELSEWHERE = '{"metadata": {"namespace": "team-beta"}}'
AIMS = {
    "argument": 'team="beta"',
    "namespace": 'namespace="team-beta"',
    "override": f"pod_override={ELSEWHERE}",
    "template": f"pod_template_dict={ELSEWHERE}",
    "trigger": 'trigger_kwargs={"namespace": "team-beta"}',
}
RENDERED = 'pod_override={"metadata": {"namespace": "{{ params.aim }}"}}'

ASK = "leave it out, or ask the platform team to change the team's values."
IS_ANOTHER = f"namespace is 'team-beta', but team 'alpha' has 'team-alpha': {ASK}"
SENTENCES = {
    "argument": "The task wants to run for team 'beta', but its DAG lies in the bundle or folder of team 'alpha': "
    "leave out team=, or move the DAG to team 'beta'.",
    "namespace": f"namespace='team-beta' was given, but team 'alpha' has 'team-alpha': {ASK}",
    "override": IS_ANOTHER,
    "template": IS_ANOTHER,
    "trigger": "trigger_kwargs has 'namespace', but what became of which pod is for the trigger to say: leave "
    "'namespace' out.",
}


@pytest.fixture(scope="module")
def version(stack: Stack) -> Iterator[str]:
    """The commit of alpha's repository that has one DAG per aim; they are emptied afterwards."""
    files = {f"foreign_{name}.py": DAG.format(name=f"foreign_{name}", aim=aim) for name, aim in AIMS.items()}
    files["foreign_rendered.py"] = DAG.format(name="foreign_rendered", aim=RENDERED)
    repository = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    try:
        yield push_files(repository, files, "Aim at another team")
    finally:
        push_files(repository, dict.fromkeys(files, ""), "Aim at nobody")


def test_what_is_known_when_the_dag_is_read_is_refused_with_its_sentence(airflow: AirflowApi, version: str):
    def probe() -> dict[str, str]:
        errors = airflow.get("importErrors")["import_errors"]
        found = {error["filename"]: error["stack_trace"].strip().splitlines()[-1] for error in errors}
        ours = {name: found[f"foreign_{name}.py"] for name in AIMS if f"foreign_{name}.py" in found}
        if ours.keys() != AIMS.keys():
            raise NotYet(f"import errors of {', '.join(found) or 'no file'}")
        return ours

    found = wait_for("Airflow to refuse the DAGs", probe, deadline_s=120)
    assert {name: line.partition(": ")[2] for name, line in found.items()} == SENTENCES


def test_what_is_known_after_rendering_only_fails_the_task_with_its_sentence_and_without_another_try(
    stack: Stack, airflow: AirflowApi, version: str
):
    airflow.wait_for_version("foreign_rendered", version)
    run = airflow.trigger_run("foreign_rendered")
    assert airflow.wait_for_run("foreign_rendered", run) == "failed"
    assert IS_ANOTHER in airflow.read_log("foreign_rendered", run, "run")
    assert [task["try_number"] for task in airflow.list_task_instances("foreign_rendered", run)] == [1]
    pods = json.loads(stack.kubectl("get", "pods", "-A", "-l", "dag_id=foreign_rendered", "-o", "json"))
    assert pods["items"] == []
