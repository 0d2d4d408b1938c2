"""Check a task and its pod when the DAG is parsed; equal pods of a DAG are checked once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kpo_platform.airflow.operators.arguments.serialize import UNRESOLVED, serialize
from kpo_platform.airflow.operators.arguments.unknown_fields import remove_unresolved
from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal
from kpo_platform.pod.compose import PodRequest, compose
from kpo_platform.pod.containers import remove_templates
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.all_rules import check_pod
from kpo_platform.pod.rules.credentials import check_container_credentials
from kpo_platform.pod.rules.ownership import check_connection, check_trigger_kwargs
from kpo_platform.pod.rules.results import check_result_right
from kpo_platform.pod.rules.syntax import check_variable_names

_PROGRAM_FIELDS = ("command", "args", "env")
"""Fields that differ between tasks; only the rules on credentials and variable names read them."""

_LAYERS = ("own_template", "arguments", "full_pod_spec", "pod_override")
_MAX_CACHED = 1000

_cache: tuple[Contract | None, dict[str, tuple[Refusal, ...]]] = (None, {})


def check_task(task: Any, team_name: str, contract: Contract) -> list[Refusal]:
    """Check the arguments of a task that do not describe its pod: its connection, its trigger and its result.

    Args:
        task: a pod operator, with rendered fields or not.
        team_name: the team that the task runs for.
        contract: contains the connections of all teams.
    """
    connection_id, mode = serialize(task.kubernetes_conn_id), "sidecar" if task.do_xcom_push else ""
    return [
        *check_connection(connection_id, team_name, contract),
        *check_trigger_kwargs(task.trigger_kwargs),
        *check_result_right(getattr(task, "result_mode", mode), team_name, contract.team(team_name)),
    ]


def precheck_pod(contract: Contract, request: PodRequest, *, complete: bool = True) -> list[Refusal]:
    """Check the known parts of a pod when the DAG is parsed.

    Args:
        contract: defines the team. Results are cached until the contract changes.
        request: the task's request, with the arguments of `build_argument_layer`.
        complete: False if ``request`` lacks a layer of the pod that is not known yet.

    Raises:
        TeamError: the contract has no such size, template or sidecar.
        PodError: the pod has no image, and no part of it is still unknown.
    """
    pod_request, program = _split_program(request)
    cache = _open_cache(contract)
    key = repr((pod_request, complete))
    if key not in cache:
        cache[key] = tuple(_check_pod(contract, pod_request, complete))
    program = remove_templates(program)
    return [*cache[key], *check_container_credentials(program), *check_variable_names(program)]


def _open_cache(contract: Contract) -> dict[str, tuple[Refusal, ...]]:
    global _cache
    if _cache[0] is not contract or len(_cache[1]) >= _MAX_CACHED:
        _cache = (contract, {})
    return _cache[1]


def _split_program(request: PodRequest) -> tuple[PodRequest, Json]:
    """Split a request into one without program fields, and a container of only these fields."""
    spec = request.arguments["spec"]
    base = spec["containers"][0]
    program = {"name": base["name"], **{name: base[name] for name in _PROGRAM_FIELDS if name in base}}
    other_fields = {name: value for name, value in base.items() if name not in _PROGRAM_FIELDS}
    arguments = {**request.arguments, "spec": {**spec, "containers": [other_fields]}}
    return replace(request, arguments=arguments), program


def _check_pod(contract: Contract, request: PodRequest, complete: bool) -> list[Refusal]:
    layers = {name: remove_unresolved(layer) for name in _LAYERS if (layer := getattr(request, name))}
    complete = complete and all(layer == getattr(request, name) for name, layer in layers.items())
    known_request = replace(request, **layers)
    if not complete:
        known_request = _add_image_placeholder(known_request)
    pod, team = compose(contract, known_request), contract.team(request.team)
    pod_refusals = check_pod(
        pod, request.team, team, contract, rendered=False, complete=complete, result_mode=request.result_mode
    )
    return [*known_request.check_duplicates(), *pod_refusals]


def _add_image_placeholder(request: PodRequest) -> PodRequest:
    """Add a placeholder for the image, which an unknown part of the pod may set."""
    spec = request.arguments["spec"]
    base, *others = spec["containers"]
    containers = [{"image": UNRESOLVED, **base}, *others]
    return replace(request, arguments={**request.arguments, "spec": {**spec, "containers": containers}})
