"""What speaks against a task's pod when its DAG is read; tasks that differ in their words only are judged once."""

from __future__ import annotations

from dataclasses import replace

from kpo_platform.airflow.operators.arguments.serialize import UNRESOLVED
from kpo_platform.airflow.operators.arguments.unknown_fields import remove_unresolved
from kpo_platform.contract import Contract
from kpo_platform.finding import Refusal
from kpo_platform.pod.compose import PodRequest, compose
from kpo_platform.pod.containers import remove_templates
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.all_rules import check_pod
from kpo_platform.pod.rules.credentials import check_container_credentials
from kpo_platform.pod.rules.syntax import check_variable_names

_WORDS = ("command", "args", "env")
"""What differs from task to task of one DAG, and matters to no rule but those of credentials and variables."""

_LAYERS = ("own_template", "arguments", "full_pod_spec", "pod_override")
_MOST = 1000

_verdicts: tuple[Contract | None, dict[str, tuple[Refusal, ...]]] = (None, {})


def precheck_pod(contract: Contract, request: PodRequest, *, complete: bool = True) -> list[Refusal]:
    """What speaks against a pod as far as it is known before rendering.

    Args:
        contract: where the team comes from; another one than last time makes every verdict be found anew.
        request: what the task asks for, with its arguments as `build_argument_layer` gives them.
        complete: False where a layer of the pod is not known yet and is not in ``request``.

    Raises:
        TeamError: the contract has no such size, template or sidecar.
        PodError: the pod has no image, and none may come.
    """
    rest, words = _split(request)
    known = _known(contract)
    key = repr((rest, complete))
    if key not in known:
        known[key] = tuple(_judged(contract, rest, complete))
    words = remove_templates(words)
    return [*known[key], *check_container_credentials(words), *check_variable_names(words)]


def _known(contract: Contract) -> dict[str, tuple[Refusal, ...]]:
    global _verdicts
    if _verdicts[0] is not contract or len(_verdicts[1]) >= _MOST:
        _verdicts = (contract, {})
    return _verdicts[1]


def _split(request: PodRequest) -> tuple[PodRequest, Json]:
    """The request without its words, and a container of nothing but them."""
    spec = request.arguments["spec"]
    base = spec["containers"][0]
    words = {"name": base["name"], **{name: base[name] for name in _WORDS if name in base}}
    rest = {name: value for name, value in base.items() if name not in _WORDS}
    arguments = {**request.arguments, "spec": {**spec, "containers": [rest]}}
    return replace(request, arguments=arguments), words


def _judged(contract: Contract, request: PodRequest, complete: bool) -> list[Refusal]:
    layers = {name: remove_unresolved(layer) for name in _LAYERS if (layer := getattr(request, name))}
    complete = complete and all(layer == getattr(request, name) for name, layer in layers.items())
    known = replace(request, **layers)
    if not complete:
        known = _with_an_image(known)
    pod, team = compose(contract, known), contract.team(request.team)
    found = check_pod(pod, request.team, team, contract, rendered=False, complete=complete)
    return [*known.check_duplicates(), *found]


def _with_an_image(request: PodRequest) -> PodRequest:
    """The request with a placeholder for an image that what is not known yet may bring."""
    spec = request.arguments["spec"]
    base, *others = spec["containers"]
    containers = [{"image": UNRESOLVED, **base}, *others]
    return replace(request, arguments={**request.arguments, "spec": {**spec, "containers": containers}})
