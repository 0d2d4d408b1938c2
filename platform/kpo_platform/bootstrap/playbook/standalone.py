"""Plan the playbook's tasks without platformctl, for a direct run with ansible-playbook."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from kpo_platform.bootstrap import lease, plan, run
from kpo_platform.bootstrap.ansible.payload import TaskPayload, build_payloads
from kpo_platform.bootstrap.connections.target_cluster import TargetCluster
from kpo_platform.bootstrap.model import Action, Verb
from kpo_platform.bootstrap.registry import docker_config
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import SECRET, Kube, read_contract

ARGUMENTS: dict[str, dict[str, Any]] = {
    "kubeconfig": {"type": "path"},
    "context": {"type": "str"},
    "namespace": {"type": "str", "default": "airflow"},
    "timeout": {"type": "float", "default": 300},
    "teams": {"type": "list", "elements": "str", "default": []},
    "airflow_url": {"type": "str"},
    "registry_config": {"type": "path"},
    "registry_secret": {"type": "str"},
    "target_kubeconfig": {"type": "path"},
    "target_context": {"type": "str"},
    "target_account": {"type": "str"},
}
"""Module arguments of a standalone run: the options of `platformctl bootstrap`. None of them is secret."""


@dataclass(frozen=True)
class TaskPlan:
    """Plan of one task.

    Attributes:
        payload: the writes.
        descriptions: descriptions of all actions of the run's plan.
        blocked: descriptions of the blocked actions.
        refusal: why the task must not write, as a sentence; empty if it may.
    """

    payload: TaskPayload
    descriptions: tuple[str, ...]
    blocked: tuple[str, ...]
    refusal: str = ""


@contextmanager
def plan_task(arguments: Mapping[str, Any], task: str, *, dry_run: bool) -> Iterator[TaskPlan]:
    """Plan a task, and hold the release's Lease until the context ends.

    Args:
        arguments: the values of `ARGUMENTS`.
        task: the task, `OBJECTS` or `CONNECTIONS`.
        dry_run: whether nothing will be written. Then no Lease is needed.

    Raises:
        PlatformError: the task cannot be planned.
    """
    kube = Kube.connect(arguments["kubeconfig"], arguments["context"], arguments["timeout"])
    bootstrap_run = _start_run(kube, arguments)
    credentials = _find_credentials(bootstrap_run, arguments)
    with nullcontext() if dry_run else lease.hold_lease(kube, arguments["namespace"], lambda _: None):
        run_plan = bootstrap_run.plan(credentials, dry_run=dry_run)
        refusal = plan.explain_refusal(run_plan, bootstrap_run.teams)
        if not dry_run and not refusal:
            checks = bootstrap_run.login_checks
            checks.check_on_nodes(kube, bootstrap_run.contract, credentials, run_plan, lambda _: None)
        payloads = build_payloads(run_plan, bootstrap_run.cluster_access, bootstrap_run.airflow_access)
        blocked = tuple(_describe_action(action) for action in run_plan.actions if action.verb is Verb.BLOCKED)
        yield TaskPlan(payloads[task], tuple(map(_describe_action, run_plan.actions)), blocked, refusal)


def _start_run(kube: Kube, arguments: Mapping[str, Any]) -> run.BootstrapRun:
    contract = read_contract(kube, arguments["namespace"])
    teams = run.select_teams(contract, tuple(arguments["teams"]))
    file = arguments["target_kubeconfig"]
    target = TargetCluster(file, arguments["target_context"], arguments["target_account"]) if file else None
    access = run.build_cluster_access(arguments["kubeconfig"], arguments["context"])
    access = access.model_copy(update={"timeout": arguments["timeout"]})
    return run.start_run(kube, access, contract, teams, arguments["airflow_url"], target=target)


def _find_credentials(
    bootstrap_run: run.BootstrapRun, arguments: Mapping[str, Any]
) -> docker_config.RegistryCredentials:
    config, secret = arguments["registry_config"], arguments["registry_secret"]
    hosts, kube = bootstrap_run.registry_hosts, bootstrap_run.kube
    if config and secret:
        raise BootstrapError("registry_config and registry_secret exclude each other. Pass only one of them.")
    if not secret:
        return docker_config.find_credentials(hosts, config, sys.stdin, kube.deadline)
    namespace, _, name = secret.partition("/")
    return docker_config.read_secret_credentials(hosts, secret, kube.get(SECRET, name, namespace), kube.deadline)


def _describe_action(action: Action) -> str:
    changes = [f"{change.field}: {change.old or '(none)'} → {change.new}" for change in action.changes]
    return f"{action.verb} {action.target}: {'; '.join([*changes, action.note])}"
