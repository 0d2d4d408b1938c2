"""Refusal of DAGs in team alpha's repository that refer to team beta."""

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

with DAG("{name}", schedule=None, params={{"namespace": "team-beta"}}, default_args={{"retries": 2}}):
    TeamPodOperator(task_id="run", image="busybox:1.35", cmds=["true"], {reference})
"""
BETA_POD = '{"metadata": {"namespace": "team-beta"}}'
REFERENCES = {
    "argument": 'team="beta"',
    "namespace": 'namespace="team-beta"',
    "override": f"pod_override={BETA_POD}",
    "template": f"pod_template_dict={BETA_POD}",
    "trigger": 'trigger_kwargs={"namespace": "team-beta"}',
}
TEMPLATED = 'pod_override={"metadata": {"namespace": "{{ params.namespace }}"}}'

FIX = "Leave it out, or ask the platform team to change the team's values."
OTHER_NAMESPACE = f"namespace is 'team-beta', but team 'alpha' has 'team-alpha'. {FIX}"
MESSAGES = {
    "argument": "The task has team 'beta', but its DAG file is in the bundle or folder of team 'alpha'. "
    "Leave out team, or move the DAG file to the folder or bundle of team 'beta'.",
    "namespace": f"namespace is 'team-beta', but team 'alpha' has 'team-alpha'. {FIX}",
    "override": OTHER_NAMESPACE,
    "template": OTHER_NAMESPACE,
    "trigger": "trigger_kwargs has 'namespace', which only the trigger sets. Leave 'namespace' out.",
}


@pytest.fixture(scope="module")
def version(stack: Stack) -> Iterator[str]:
    """The commit of alpha's repository with one DAG per kind of reference.

    The DAG files are emptied afterwards.
    """
    files = {
        f"foreign_{name}.py": DAG.format(name=f"foreign_{name}", reference=reference)
        for name, reference in REFERENCES.items()
    }
    files["foreign_rendered.py"] = DAG.format(name="foreign_rendered", reference=TEMPLATED)
    repository = f"git://{stack.service_address('git-server', 'git')}/alpha.git"
    try:
        yield push_files(repository, files, "Refer to another team")
    finally:
        push_files(repository, dict.fromkeys(files, ""), "Remove references to another team")


def test_reference_known_at_parse_time_is_an_import_error(airflow: AirflowApi, version: str):
    def probe() -> dict[str, str]:
        errors = airflow.get("importErrors")["import_errors"]
        messages = {error["filename"]: error["stack_trace"].strip().splitlines()[-1] for error in errors}
        own_errors = {name: messages[f"foreign_{name}.py"] for name in REFERENCES if f"foreign_{name}.py" in messages}
        if own_errors.keys() != REFERENCES.keys():
            raise NotYet(f"import errors of {', '.join(messages) or 'no file'}")
        return own_errors

    messages = wait_for("Airflow to refuse the DAGs", probe, deadline_s=120)
    assert {name: line.partition(": ")[2] for name, line in messages.items()} == MESSAGES


def test_reference_known_after_rendering_fails_without_retry(stack: Stack, airflow: AirflowApi, version: str):
    airflow.wait_for_version("foreign_rendered", version)
    run = airflow.trigger_run("foreign_rendered")
    assert airflow.wait_for_run("foreign_rendered", run) == "failed"
    assert OTHER_NAMESPACE in airflow.read_log("foreign_rendered", run, "run")
    assert [task["try_number"] for task in airflow.list_task_instances("foreign_rendered", run)] == [1]
    pods = json.loads(stack.kubectl("get", "pods", "-A", "-l", "dag_id=foreign_rendered", "-o", "json"))
    assert pods["items"] == []
