"""Compose a team's pod from its layers, weakest first, and lock what nobody may move.

The order, from the weakest: team (its default size among it), the platform's template, the author's own template,
sidecars, the size that was asked for, the operator's arguments, full_pod_spec, pod_override. Above all of them stands
what is locked: namespace, service account, token, the team's label and the security context floor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce

from kpo_platform.contract import Contract, Size, Team
from kpo_platform.errors import TeamError, describe_unknown_name
from kpo_platform.finding import Refusal, raise_refusals
from kpo_platform.pod.containers import iterate_containers
from kpo_platform.pod.identity import TEAM_LABEL
from kpo_platform.pod.images import add_registry_prefix
from kpo_platform.pod.merge import Json, merge
from kpo_platform.pod.resources import fit_resources
from kpo_platform.pod.rules.duplicates import check_duplicates
from kpo_platform.pod.security import apply_security_floor

BASE = "base"
"""The container that runs the task; its end is the pod's end."""


@dataclass(frozen=True)
class PodRequest:
    """What a task asks for, in the vocabulary of the contract. The pods are plain v1 Pod dictionaries."""

    team: str
    size: str | None = None
    template: str | None = None
    sidecars: tuple[str, ...] | None = None
    own_template: Json = field(default_factory=dict)
    arguments: Json = field(default_factory=dict)
    full_pod_spec: Json = field(default_factory=dict)
    pod_override: Json = field(default_factory=dict)

    def check_duplicates(self) -> list[Refusal]:
        """What the author names twice within one layer, which the composed pod shows no more."""
        layers = (self.own_template, self.arguments, self.full_pod_spec, self.pod_override)
        return [refusal for layer in layers for refusal in check_duplicates(layer)]


def compose(contract: Contract, request: PodRequest) -> Json:
    """The pod that a request gives, also when it will be refused: for those who collect reasons themselves.

    Raises:
        TeamError: the contract has no such team, size, template or sidecar.
        PodError: the pod has no image.
    """
    team = contract.team(request.team)
    layers = [
        request.own_template,
        _sidecar_layer(contract, team.sidecars if request.sidecars is None else request.sidecars),
        _size_layer(team.size(request.size), contract.gpu_resource) if request.size else {},
        request.arguments,
        request.full_pod_spec,
        request.pod_override,
    ]
    stacked = reduce(_over, layers, _platform_part(contract, request.team, request.template or team.template))
    return _finished(_locked_again(stacked, request.team, team), team)


def _over(under: Json, over: Json) -> Json:
    return merge(fit_resources(under, over), over) if over else under


_platform_parts: tuple[Contract | None, dict[tuple[str, str], Json]] = (None, {})


def _platform_part(contract: Contract, name: str, template: str) -> Json:
    """What all tasks of a team with one template have beneath them; made once per contract, for DAGs of many tasks."""
    global _platform_parts
    if _platform_parts[0] is not contract:
        _platform_parts = (contract, {})
    parts = _platform_parts[1]
    if (name, template) not in parts:
        team = contract.team(name)
        size = _size_layer(team.size(), contract.gpu_resource)
        layers = [_team_layer(team), size, _template_layer(contract, template), _locked_layer(name, team)]
        parts[name, template] = reduce(_over, layers, {})
    return parts[name, template]


def _locked_again(pod: Json, name: str, team: Team) -> Json:
    """The pod with every locked field there: a None of the author's may have removed one."""
    locked = _locked_layer(name, team)
    metadata = {"namespace": team.namespace, **pod.get("metadata", {})}
    metadata["labels"] = {**locked["metadata"]["labels"], **(metadata.get("labels") or {})}
    spec = {**locked["spec"], "containers": [{"name": BASE}], **pod.get("spec", {})}
    return {**locked, **pod, "metadata": metadata, "spec": spec}


def _team_layer(team: Team) -> Json:
    base = {
        "name": BASE,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # so that a failure says why, also without a message
        "env": list(team.env),
        "volumeMounts": [{"name": v.name, "mountPath": v.mount_path, "readOnly": v.read_only} for v in team.volumes],
        **_present({"envFrom": list(team.env_from)}),
    }
    claims = [
        {"name": v.name, "persistentVolumeClaim": {"claimName": v.name, "readOnly": v.read_only}} for v in team.volumes
    ]
    return {
        "metadata": {"labels": dict(team.labels), "annotations": dict(team.annotations)},
        "spec": {"volumes": claims, "containers": [base], **_scheduling(team)},
    }


def _scheduling(team: Team) -> Json:
    where = team.scheduling
    return _present(
        {
            "nodeSelector": dict(where.node_selector),
            "tolerations": list(where.tolerations),
            "affinity": dict(where.affinity),
            "priorityClassName": where.priority_class_name,
            "activeDeadlineSeconds": team.policy.max_runtime,
        }
    )


def _present(fields: Json) -> Json:
    """The fields that say something; the API takes no deadline of 0 and no priority class without a name."""
    return {name: value for name, value in fields.items() if value}


def _template_layer(contract: Contract, name: str) -> Json:
    if name not in contract.pod_templates:
        raise TeamError(*describe_unknown_name("template", name, contract.pod_templates))
    # A template's own name is that of an example; a pod is named after its task.
    return merge(contract.pod_templates[name], {"metadata": {"name": None}})


def _sidecar_layer(contract: Contract, names: tuple[str, ...]) -> Json:
    for name in names:
        if name not in contract.sidecars:
            raise TeamError(*describe_unknown_name("sidecar", name, contract.sidecars))
    return reduce(merge, (contract.sidecars[name] for name in names), {})


def _size_layer(size: Size, gpu_resource: str) -> Json:
    optional = _present({"ephemeral-storage": size.ephemeral_storage, gpu_resource: str(size.gpu or "")})
    quantities = {"cpu": size.cpu, "memory": size.memory, **optional}
    resources = {"requests": quantities, "limits": dict(quantities)}
    return {"spec": {"containers": [{"name": BASE, "resources": resources}]}}


def _locked_layer(name: str, team: Team) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": team.namespace, "labels": {TEAM_LABEL: name}},
        "spec": {
            "serviceAccountName": team.service_account.name,
            "automountServiceAccountToken": team.service_account.mount_token,
            "restartPolicy": "Never",
        },
    }


def _finished(pod: Json, team: Team) -> Json:
    """The pod with ``base`` first, where the stock operator looks for it, registries filled in, and the floor."""
    spec = pod["spec"]
    for container in iterate_containers(pod):
        _refuse_nameless(container)
    parts = {
        "containers": sorted(spec["containers"], key=lambda container: container["name"] != BASE),
        "initContainers": spec.get("initContainers") or [],
    }
    prefix = team.images.registry_prefix
    prefixed = {
        kind: [{**item, "image": add_registry_prefix(item["image"], prefix)} for item in items]
        for kind, items in parts.items()
        if items
    }
    return apply_security_floor({**pod, "spec": {**spec, **prefixed}}, team)


def _refuse_nameless(container: Json) -> None:
    if container.get("name") == BASE and not container.get("image"):
        hint = "give image='name:tag', or a template whose container 'base' has one."
        raise_refusals([Refusal("image", "The pod has no image", hint, "image")])
    for needed, rule in (("name", "missing"), ("image", "image")):
        if not container.get(needed):
            who = container.get("name") or container.get("image")
            hint = "give it one; what belongs to the task's own container is merged into it by the name 'base'."
            raise_refusals([Refusal(rule, f"The container {who!r} has no {needed}", hint)])
