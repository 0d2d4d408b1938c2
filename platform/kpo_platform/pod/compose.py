"""Compose a team's pod from its layers.

The layers, from lowest to highest precedence: the team with its default size, the platform's template, the author's
template, sidecars, the requested size, the operator's arguments, full_pod_spec, pod_override. Locked fields are set
after them if absent: namespace, service account, token mount, team label and the security context of the Pod Security
level. The rules refuse other values of locked fields.
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
from kpo_platform.pod.message_result import FIELDS
from kpo_platform.pod.resources import fit_resources
from kpo_platform.pod.rules.duplicates import check_duplicates
from kpo_platform.pod.security import apply_security_context
from kpo_platform.pod.xcom import ResultMode

BASE = "base"
"""The name of the container that runs the task."""


@dataclass(frozen=True)
class PodRequest:
    """The parts of a pod that a task defines; each layer is a partial v1 Pod."""

    team: str
    size: str | None = None
    template: str | None = None
    sidecars: tuple[str, ...] | None = None
    own_template: Json = field(default_factory=dict)
    arguments: Json = field(default_factory=dict)
    full_pod_spec: Json = field(default_factory=dict)
    pod_override: Json = field(default_factory=dict)
    result_mode: ResultMode = ""

    def check_duplicates(self) -> list[Refusal]:
        """Check each layer for duplicate names, which merging would hide."""
        layers = (self.own_template, self.arguments, self.full_pod_spec, self.pod_override)
        return [refusal for layer in layers for refusal in check_duplicates(layer)]


def compose(contract: Contract, request: PodRequest) -> Json:
    """Compose the pod of a request without checking it against the rules.

    Raises:
        TeamError: the contract does not have the team, size, template or sidecar.
        PodError: a container has no image or no name.
    """
    team = contract.team(request.team)
    layers = [
        {"spec": {"containers": [{"name": BASE, **FIELDS}]}} if request.result_mode == "message" else {},
        request.own_template,
        _build_sidecar_layer(contract, team.sidecars if request.sidecars is None else request.sidecars),
        _build_size_layer(team.size(request.size), contract.gpu_resource) if request.size else {},
        request.arguments,
        request.full_pod_spec,
        request.pod_override,
    ]
    merged = reduce(
        _merge_layer, layers, _build_platform_layer(contract, request.team, request.template or team.template)
    )
    return _complete_containers(_restore_locked_fields(merged, request.team, team), team)


def _merge_layer(lower: Json, higher: Json) -> Json:
    return merge(fit_resources(lower, higher), higher) if higher else lower


_platform_layers: tuple[Contract | None, dict[tuple[str, str], Json]] = (None, {})


def _build_platform_layer(contract: Contract, team_name: str, template: str) -> Json:
    """Merge the layers that all tasks of a team with one template share; cached for the current contract."""
    global _platform_layers
    if _platform_layers[0] is not contract:
        _platform_layers = (contract, {})
    cache = _platform_layers[1]
    if (team_name, template) not in cache:
        team = contract.team(team_name)
        size = _build_size_layer(team.size(), contract.gpu_resource)
        platform_template = _build_template_layer(contract, template)
        layers = [_build_team_layer(team), size, platform_template, _build_locked_layer(team_name, team)]
        cache[team_name, template] = reduce(_merge_layer, layers, {})
    return cache[team_name, template]


def _restore_locked_fields(pod: Json, team_name: str, team: Team) -> Json:
    """Set absent locked fields: a None in the author's layers may have removed them."""
    locked = _build_locked_layer(team_name, team)
    metadata = {"namespace": team.namespace, **pod.get("metadata", {})}
    metadata["labels"] = {**locked["metadata"]["labels"], **(metadata.get("labels") or {})}
    spec = {**locked["spec"], "containers": [{"name": BASE}], **pod.get("spec", {})}
    return {**locked, **pod, "metadata": metadata, "spec": spec}


def _build_team_layer(team: Team) -> Json:
    base = {
        "name": BASE,
        "terminationMessagePolicy": "FallbackToLogsOnError",  # gives a cause if the program writes no message
        "env": list(team.env),
        "volumeMounts": [{"name": v.name, "mountPath": v.mount_path, "readOnly": v.read_only} for v in team.volumes],
        **_omit_empty({"envFrom": list(team.env_from)}),
    }
    claims = [
        {"name": v.name, "persistentVolumeClaim": {"claimName": v.name, "readOnly": v.read_only}} for v in team.volumes
    ]
    return {
        "metadata": {"labels": dict(team.labels), "annotations": dict(team.annotations)},
        "spec": {"volumes": claims, "containers": [base], **_build_scheduling(team)},
    }


def _build_scheduling(team: Team) -> Json:
    scheduling = team.scheduling
    return _omit_empty(
        {
            "nodeSelector": dict(scheduling.node_selector),
            "tolerations": list(scheduling.tolerations),
            "affinity": dict(scheduling.affinity),
            "priorityClassName": scheduling.priority_class_name,
            "activeDeadlineSeconds": team.policy.max_runtime,
        }
    )


def _omit_empty(fields: Json) -> Json:
    """Omit empty fields: the API rejects a deadline of 0 and a priority class without a name."""
    return {name: value for name, value in fields.items() if value}


def _build_template_layer(contract: Contract, name: str) -> Json:
    if name not in contract.pod_templates:
        raise TeamError(*describe_unknown_name("template", name, contract.pod_templates))
    # The name in a template is an example; a pod is named after its task.
    return merge(contract.pod_templates[name], {"metadata": {"name": None}})


def _build_sidecar_layer(contract: Contract, names: tuple[str, ...]) -> Json:
    for name in names:
        if name not in contract.sidecars:
            raise TeamError(*describe_unknown_name("sidecar", name, contract.sidecars))
    return reduce(merge, (contract.sidecars[name] for name in names), {})


def _build_size_layer(size: Size, gpu_resource: str) -> Json:
    optional = _omit_empty({"ephemeral-storage": size.ephemeral_storage, gpu_resource: str(size.gpu or "")})
    quantities = {"cpu": size.cpu, "memory": size.memory, **optional}
    resources = {"requests": quantities, "limits": dict(quantities)}
    return {"spec": {"containers": [{"name": BASE, "resources": resources}]}}


def _build_locked_layer(team_name: str, team: Team) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": team.namespace, "labels": {TEAM_LABEL: team_name}},
        "spec": {
            "serviceAccountName": team.service_account.name,
            "automountServiceAccountToken": team.service_account.mount_token,
            "restartPolicy": "Never",
        },
    }


def _complete_containers(pod: Json, team: Team) -> Json:
    """Put ``base`` first, where the stock operator expects it; add registry prefix and security context."""
    spec = pod["spec"]
    for container in iterate_containers(pod):
        _check_name_and_image(container)
    containers = {
        "containers": sorted(spec["containers"], key=lambda container: container["name"] != BASE),
        "initContainers": spec.get("initContainers") or [],
    }
    prefix = team.images.registry_prefix
    prefixed = {
        kind: [{**item, "image": add_registry_prefix(item["image"], prefix)} for item in items]
        for kind, items in containers.items()
        if items
    }
    return apply_security_context({**pod, "spec": {**spec, **prefixed}}, team)


def _check_name_and_image(container: Json) -> None:
    if container.get("name") == BASE and not container.get("image"):
        fix = "Set image='name:tag', or use a template whose container 'base' has an image."
        raise_refusals([Refusal("image", "The pod has no image", fix, "image")])
    for key, rule in (("name", "missing"), ("image", "image")):
        if not container.get(key):
            name = container.get("name") or container.get("image")
            fix = f"Add the {key}. To change the container of the task, name the container 'base'."
            raise_refusals([Refusal(rule, f"The container {name!r} has no {key}", fix)])
