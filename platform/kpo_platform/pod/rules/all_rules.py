"""Everything for which a team's pod is refused, found in plain data.

One place for all who ask: ``platformctl lint`` without Airflow, the operator when a DAG is read and again after
rendering, and the cluster policy as the last gate for stock operators.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from kpo_platform.contract import Contract, Team
from kpo_platform.finding import Refusal
from kpo_platform.pod.containers import all_containers, without_templates
from kpo_platform.pod.images import is_pinned, with_registry
from kpo_platform.pod.merge import Json
from kpo_platform.pod.rules.credentials import credentials
from kpo_platform.pod.rules.pod_security import offences
from kpo_platform.pod.rules.quota import over_quota
from kpo_platform.pod.rules.references import missing
from kpo_platform.pod.rules.syntax import misshapen, wordless

TEAM_LABEL = "kpo-platform/team"
"""The label that says whose pod it is."""

XCOM_CONTAINER = "airflow-xcom-sidecar"
"""What the stock operator calls the container that it adds to fetch an XCom."""

_ASK = "leave it out, or ask the platform team to change the team's values."


def refusals(
    pod: Json, name: str, team: Team, contract: Contract, *, rendered: bool = True, complete: bool = True
) -> list[Refusal]:
    """What speaks against a pod of a team, in the order of the rules.

    Args:
        pod: the whole v1 Pod, with the registry prefix applied.
        name: the team's name.
        team: the team of this name.
        contract: the platform that the team belongs to.
        rendered: False while Jinja has still to render the pod's texts; those with templates are passed over then.
        complete: False while parts of the pod are still to come, so that nothing is missed yet.
    """
    known = pod if rendered else without_templates(pod)
    own = _own_containers(contract, team)
    found: list[Refusal] = [
        *_locked(known, name, team),
        *_labels(known, name, team, contract.label_policy),
        *(refusal for container in all_containers(known) for refusal in _image(container, name, team, own)),
        *over_quota(known, name, team),
        *offences(known, name, team),
        *(refusal for container in all_containers(known) for refusal in credentials(container)),
        *misshapen(known),
        *(wordless(known) if rendered else ()),
        *(missing(known, own) if complete else ()),
    ]
    return list(dict.fromkeys(found))


def _locked(pod: Json, name: str, team: Team) -> Iterator[Refusal]:
    spec, account = pod["spec"], team.service_account
    decided: list[tuple[str, Any, Any]] = [
        ("namespace", pod["metadata"].get("namespace"), team.namespace),
        ("serviceAccountName", spec.get("serviceAccountName"), account.name),
        ("serviceAccount", spec.get("serviceAccount"), account.name),
        ("automountServiceAccountToken", spec.get("automountServiceAccountToken"), account.mount_token),
        ("restartPolicy", spec.get("restartPolicy"), "Never"),
    ]
    for field, given, wanted in decided:
        if given is not None and given != wanted:
            yield Refusal("locked", f"{field} is {given!r}, but team {name!r} has {wanted!r}", _ASK)
    if not account.mount_token:
        yield from _token_volumes(spec, name)


def _token_volumes(spec: Json, name: str) -> Iterator[Refusal]:
    """A token for the cluster's API by another door; one for another audience (workload identity) is none.

    The API server takes tokens for its ``--api-audiences``: by default its issuer, which most clusters leave at the
    name of the service ``kubernetes``.
    """
    for volume in spec.get("volumes") or []:
        for source in (volume.get("projected") or {}).get("sources") or []:
            token = source.get("serviceAccountToken")
            if token is not None and _is_the_api(str(token.get("audience") or "")):
                yield Refusal(
                    "locked",
                    f"Volume {volume.get('name')!r} mounts a token for the Kubernetes API, but the pods of team "
                    f"{name!r} have none",
                    "name the audience that the token is for, or ask the platform team to set "
                    "serviceAccount.mountToken.",
                )


def _is_the_api(audience: str) -> bool:
    return not audience or audience.removeprefix("https://").startswith("kubernetes.default")


def _labels(pod: Json, name: str, team: Team, policy: dict[str, str]) -> Iterator[Refusal]:
    given = pod["metadata"].get("labels") or {}
    fixed = {key: value for key, value in team.labels.items() if policy.get(key) == "fixed"}
    for key, value in {**fixed, TEAM_LABEL: name}.items():
        if key not in given or given[key] not in (None, value):
            yield Refusal(
                "locked",
                f"The label {key} was set to {given.get(key)!r}, but the platform fixes it to {value!r} for team "
                f"{name!r}",
                _ASK,
            )
    for key, kind in policy.items():
        if kind == "required" and (key not in given or given[key] == ""):
            yield Refusal(
                "label",
                f"The label {key} is missing, but the platform requires it of every pod",
                f"give it in labels, or ask the platform team to set it for team {name!r}.",
            )


def _image(container: Json, name: str, team: Team, own: set[tuple[str, str]]) -> Iterator[Refusal]:
    image, pin, allow = container.get("image"), team.images.pin, team.images.allow
    pinned = image is None or is_pinned(image, pin)
    allowed = image is None or not allow or any(fnmatchcase(image, pattern) for pattern in allow)
    if (pinned and allowed) or (container.get("name"), image) in own:
        return
    who = f"The image {image!r} of container {container.get('name')!r}"
    if not pinned:
        wanted = "a digest, as in name@sha256:…" if pin == "digest" else "a tag other than latest, as in name:1.2"
        yield Refusal("image-pin", f"{who} may mean something else tomorrow", f"team {name!r} wants {wanted}.")
    if not allowed:
        yield Refusal(
            "image-allow",
            f"{who} is not on the list of team {name!r} ({', '.join(allow)})",
            "take one that is, or ask the platform team to add it to images.allow.",
        )


def _own_containers(contract: Contract, team: Team) -> set[tuple[str, str]]:
    """Name and image of the containers that the platform itself brings into the team's pods."""
    pods = [*contract.pod_templates.values(), *contract.sidecars.values()]
    parts = [container for pod in pods for container in all_containers(pod) if container.get("image")]
    own = {(part["name"], with_registry(part["image"], team.images.registry_prefix)) for part in parts}
    return {(XCOM_CONTAINER, contract.xcom_sidecar.image), *own}
