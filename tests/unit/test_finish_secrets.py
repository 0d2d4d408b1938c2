"""airflow.log_masks: a task ends in the triggerer only if that hides in its log what the worker hides."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from airflow.providers.git.bundles.git import GitDagBundle
from airflow.sdk._shared.secrets_masker import redact, reset_secrets_masker
from airflow.sdk.configuration import conf
from airflow.sdk.definitions._internal.abstractoperator import AbstractOperator
from airflow.sdk.execution_time.context import ConnectionAccessor, VariableAccessor
from airflow.sdk.log import mask_secret

from kpo_platform.airflow import log_masks
from kpo_platform.airflow.bundles.git import TeamGitDagBundle
from unit.support.cluster_server import Cluster
from unit.support.contracts import CONTRACT
from unit.support.fake_kubelet import Program
from unit.support.published_contract import Publish
from unit.support.task_process import StartTask, Task

TOKEN = "s3cr3t-of-the-team"
IN_VARIABLE = {"env_vars": {"VALUE": "{{ var.value.api_token }}"}}


@pytest.fixture(autouse=True)
def worker(publish: Publish, fake_cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tasks end in the triggerer, and let the supervisor begin with no secrets, as Airflow's does."""
    monkeypatch.setitem(CONTRACT, "airflow", {**CONTRACT["airflow"], "sharedLogs": True})
    publish()
    monkeypatch.setattr(log_masks, "_OF_START", set())
    monkeypatch.setenv("AIRFLOW_VAR_API_TOKEN", TOKEN)
    monkeypatch.setenv("AIRFLOW_VAR_REGION", "eu-central-1")
    monkeypatch.setenv("AIRFLOW_CONN_STORE", json.dumps({"conn_type": "http", "password": TOKEN}))
    fake_cluster.programs["base"] = Program(runs_s=600)
    monkeypatch.setattr(AbstractOperator, "iter_mapped_dependants", lambda task: iter(()))  # the tasks have no DAG
    reset_secrets_masker()


def render_and_execute(task: Any, context: Any) -> Any:
    """Do what Airflow's task runner does: render the templates, also in a resumed process, and run the task."""
    render(task)
    return task.execute(context)


def render(task: Any) -> None:
    context = {"var": {"value": VariableAccessor(deserialize_json=False)}, "conn": ConnectionAccessor()}
    task.render_template_fields(context)


def ends_in_triggerer(task: Task) -> bool:
    """Tell whether the trigger of a deferred task may finish it."""
    trigger: Any = task.deferral.trigger if task.deferral else None
    return trigger.finish is not None


def run(start_task: StartTask, **arguments: Any) -> Task:
    task = start_task(deferrable=True, defer_after=5, **arguments)
    assert task.run(render_and_execute).outcome == "deferred"
    return task


def test_ordinary_task_ends_in_the_triggerer(start_task: StartTask):
    task = run(start_task, env_vars={"REGION": "{{ var.value.region }}"})
    assert ends_in_triggerer(task)
    assert log_masks._secrets_masker().patterns  # the worker has read the connection to the cluster


def test_task_of_a_connection_with_a_secret_of_its_own_ends_in_the_triggerer(
    start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    connection = json.loads(os.environ["AIRFLOW_CONN_K8S_DEFAULT"])
    connection["extra"]["token"] = "token-of-the-connection"
    monkeypatch.setenv("AIRFLOW_CONN_K8S_DEFAULT", json.dumps(connection))
    assert ends_in_triggerer(run(start_task))
    assert redact("token-of-the-connection") == "***"


@pytest.mark.parametrize(
    "template",
    [
        "{{ var.value.api_token }}",
        "{{ conn.store.password }}",
        "{{ conn.store.login }}",
        "{{ conn.k8s_default.extra }}",
    ],
)
def test_secret_of_a_template_needs_a_worker(template: str, start_task: StartTask):
    assert not ends_in_triggerer(run(start_task, env_vars={"VALUE": template}))


def test_task_without_logs_ends_in_the_triggerer(start_task: StartTask):
    assert ends_in_triggerer(run(start_task, **IN_VARIABLE, get_logs=False))
    assert not ends_in_triggerer(run(start_task, **IN_VARIABLE, get_logs=False, init_container_logs=True))


def test_secret_that_the_authors_code_registers_needs_a_worker(start_task: StartTask):
    mask_secret("secret-of-the-dag-file")
    assert not ends_in_triggerer(run(start_task))


@pytest.mark.parametrize(("arguments", "expected"), [({}, True), (IN_VARIABLE, False)])
def test_task_that_is_deferred_again_renders_its_templates_again(arguments: Any, expected: bool, start_task: StartTask):
    task = run(start_task, **arguments)
    event = {"status": "error", "name": task.pod, "namespace": "team-alpha", "message": "lost"}

    def resume(operator: Any, context: Any) -> Any:
        render(operator)
        return operator.resume_execution("trigger_reentry", {"event": event}, context)

    task.deferral = None
    reset_secrets_masker()  # another process
    assert (task.run(resume).outcome, ends_in_triggerer(task)) == ("deferred", expected)


def test_retry_that_takes_up_the_pod_needs_a_worker(start_task: StartTask):
    task = run(start_task, **IN_VARIABLE)
    reset_secrets_masker()
    task.try_number, task.id, task.deferral = 2, "ti-2", None
    assert (task.run(render_and_execute).outcome, ends_in_triggerer(task)) == ("deferred", False)


def test_secrets_of_the_configuration_are_hidden_everywhere(start_task: StartTask, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AIRFLOW__API__SECRET_KEY", "secret-of-the-configuration")
    conf.mask_secrets()
    assert redact("secret-of-the-configuration") == "***"
    assert ends_in_triggerer(run(start_task))


@pytest.mark.parametrize(("arguments", "expected"), [({}, True), ({"env_vars": {"GIT": "token-of-git"}}, False)])
def test_credentials_of_the_bundle_count_only_if_the_pod_has_them(
    arguments: Any, expected: bool, start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("AIRFLOW_CONN_GIT_ALPHA", json.dumps({"conn_type": "git", "password": "token-of-git"}))
    monkeypatch.setattr(GitDagBundle, "initialize", lambda bundle: None)
    url = "https://git.test/alpha.git"
    TeamGitDagBundle(repo_url=url, name="alpha", tracking_ref="main", git_conn_id="git_alpha").initialize()
    assert redact("token-of-git") == "***"
    assert ends_in_triggerer(run(start_task, **arguments)) is expected


def test_connection_that_airflow_does_not_give_out_needs_a_worker(
    start_task: StartTask, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: Any) -> bool:
        raise OSError("no answer")

    module = "kpo_platform.airflow.operators.lifecycle.trigger_finish"
    monkeypatch.setattr(f"{module}.hides_more_than_triggerer", fail)
    task = start_task(deferrable=True, defer_after=0)
    executed = task.run(render_and_execute)
    assert (executed.outcome, ends_in_triggerer(task)) == ("deferred", False)
    assert "A worker will finish the task: no answer." in executed.log
