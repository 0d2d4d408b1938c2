"""The playbook's work where somebody runs it with ansible-playbook: without platformctl each task plans by itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from kpo_platform.bootstrap import lease, plan, run
from kpo_platform.bootstrap.ansible.payload import TaskPayload, build_payloads
from kpo_platform.bootstrap.connections.target_cluster import TargetCluster
from kpo_platform.bootstrap.model import Action, Plan, Verb
from kpo_platform.bootstrap.read_state import select_teams
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
"""What a person may say: the options of `platformctl bootstrap`, none of them a secret."""


@dataclass(frozen=True)
class TaskPlan:
    """What one task is to do.

    Attributes:
        work: the writes.
        plan: the whole plan in words.
        blocked: what cannot be as the contract wants it, in words.
        refusal: why nothing of the work may be done, as a sentence, or nothing.
    """

    work: TaskPayload
    plan: tuple[str, ...]
    blocked: tuple[str, ...]
    refusal: str = ""


@contextmanager
def plan_task(given: Mapping[str, Any], part: str, *, dry_run: bool) -> Iterator[TaskPlan]:
    """Plan, and have the turn in the release while the context lasts.

    Args:
        given: values for the arguments.
        part: the part of the work that is asked for.
        dry_run: nothing will be written, so no turn is needed.

    Raises:
        PlatformError: it could not be planned.
    """
    kube = Kube.connect(given["kubeconfig"], given["context"], given["timeout"])
    current = _start_run(kube, given)
    found = _find_credentials(current, given)
    with nullcontext() if dry_run else lease.hold_lease(kube, given["namespace"], lambda _: None):
        made = current.plan(found, dry_run=dry_run)
        refusal = plan.explain_refusal(made, current.teams)
        if not dry_run and not refusal:
            current.login_checks.ask_nodes(kube, current.contract, found, made, lambda _: None)
        work = build_payloads(made, current.cluster_access, current.airflow_access)[part]
        yield TaskPlan(work, *_describe_plan(made), refusal)


def _start_run(kube: Kube, given: Mapping[str, Any]) -> run.BootstrapRun:
    contract = read_contract(kube, given["namespace"])
    teams = select_teams(contract, tuple(given["teams"]))
    file = given["target_kubeconfig"]
    target = TargetCluster(file, given["target_context"], given["target_account"]) if file else None
    access = run.build_cluster_access(given["kubeconfig"], given["context"]).model_copy(
        update={"timeout": given["timeout"]}
    )
    return run.start_run(kube, access, contract, teams, given["airflow_url"], target=target)


def _find_credentials(current: run.BootstrapRun, given: Mapping[str, Any]) -> docker_config.RegistryCredentials:
    config, secret = given["registry_config"], given["registry_secret"]
    if config and secret:
        raise BootstrapError("registry_config and registry_secret are two ways to sign in: give one.")
    if not secret:
        return docker_config.find_credentials(current.registry_hosts, config, sys.stdin, current.kube.deadline)
    namespace, _, name = secret.partition("/")
    found = current.kube.get(SECRET, name, namespace)
    return docker_config.read_credentials(current.registry_hosts, secret, found, current.kube.deadline)


def _describe_plan(made: Plan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    every = tuple(_describe_action(each) for each in made.actions)
    return every, tuple(_describe_action(each) for each in made.actions if each.verb is Verb.BLOCKED)


def _describe_action(action: Action) -> str:
    changes = [f"{each.field}: {each.old or '(none)'} → {each.new}" for each in action.changes]
    return f"{action.verb} {action.target}: {'; '.join([*changes, action.note])}"
