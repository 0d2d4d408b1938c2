"""Composition of a team's pod from its layers."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from kpo_platform.errors import PodError, TeamError, describe_unknown_name
from kpo_platform.pod.compose import PodRequest
from kpo_platform.pod.images import add_registry_prefix
from kpo_platform.pod.merge import merge
from unit.support.contracts import TEAM, build_contract
from unit.support.pod_checks import compose_and_check

RESTRICTED_CONTEXT = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
BUSYBOX = {"spec": {"containers": [{"name": "base", "image": "busybox:1.35"}]}}


def test_team_and_image_compose_a_whole_pod():
    assert compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX)) == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "namespace": "team-alpha",
            "labels": {
                "cost-center": "cc-1",
                "app.kubernetes.io/part-of": "kpo-platform",
                "kpo-platform/team": "alpha",
            },
            "annotations": {},
        },
        "spec": {
            "serviceAccountName": "team-pod",
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "fsGroup": 50000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "base",
                    "image": "busybox:1.35",
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "env": [{"name": "STAGE", "value": "test"}, {"name": "HOME", "value": "/work"}],
                    "resources": {
                        "requests": {"cpu": "100m", "memory": "128Mi"},
                        "limits": {"cpu": "100m", "memory": "128Mi"},
                    },
                    "volumeMounts": [
                        {"name": "data", "mountPath": "/data", "readOnly": False},
                        {"name": "work", "mountPath": "/work"},
                    ],
                    "securityContext": RESTRICTED_CONTEXT,
                }
            ],
            "volumes": [
                {"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": False}},
                {"name": "work", "emptyDir": {}},
            ],
        },
    }


def test_locked_field_is_refused_by_name_in_every_layer():
    other_values = {
        "metadata": {"namespace": "team-beta", "labels": {"kpo-platform/team": "beta"}},
        "spec": {"serviceAccountName": "admin", "automountServiceAccountToken": True, "restartPolicy": "Always"},
    }
    ask = "Leave it out, or ask the platform team to change the team's values."
    for layer in ("own_template", "arguments", "full_pod_spec", "pod_override"):
        layers: dict[str, Any] = {"arguments": BUSYBOX, layer: merge(BUSYBOX, other_values)}
        with pytest.raises(PodError) as refusal:
            compose_and_check(build_contract(), PodRequest(team="alpha", **layers))
        assert str(refusal.value).splitlines() == [
            f"namespace is 'team-beta', but team 'alpha' has 'team-alpha'. {ask}",
            f"serviceAccountName is 'admin', but team 'alpha' has 'team-pod'. {ask}",
            f"automountServiceAccountToken is True, but team 'alpha' has False. {ask}",
            f"restartPolicy is 'Always', but team 'alpha' has 'Never'. {ask}",
            "The label kpo-platform/team is 'beta', but team 'alpha' has 'alpha'. " + ask,
        ]


def test_removed_locked_field_is_restored():
    removed_fields = {
        "metadata": {"namespace": None, "labels": {"kpo-platform/team": None}},
        "spec": {"serviceAccountName": None, "automountServiceAccountToken": None, "restartPolicy": None},
    }
    unchanged_pod = compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX))
    assert (
        compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX, pod_override=removed_fields))
        == unchanged_pod
    )


@pytest.mark.parametrize("override", [{"spec": None}, {"spec": {"containers": None}}])
def test_pod_with_removed_containers_is_refused_for_its_image(override: dict[str, Any]):
    with pytest.raises(PodError, match=r"^The pod has no image. "):
        compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX, pod_override=override))


def test_pod_has_scheduling_and_deadline_of_the_team():
    team = build_contract(
        scheduling={
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "batch", "operator": "Exists"}],
            "affinity": {"nodeAffinity": {}},
            "priorityClassName": "batch",
        },
        policy={**TEAM["policy"], "maxRuntime": 3600},
    )
    unchanged_pod = compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX))
    expected = deepcopy(unchanged_pod)
    expected["spec"] |= {
        "nodeSelector": {"disk": "ssd"},
        "tolerations": [{"key": "batch", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "batch",
        "activeDeadlineSeconds": 3600,
    }
    assert compose_and_check(team, PodRequest(team="alpha", arguments=BUSYBOX)) == expected


def test_task_overrides_node_selector_by_key():
    team = build_contract(
        scheduling={**TEAM["scheduling"], "nodeSelector": {"disk": "ssd", "zone": "a"}},
        policy={**TEAM["policy"], "maxRuntime": 3600},
    )
    override = {"spec": {"nodeSelector": {"zone": "b"}, "activeDeadlineSeconds": 7200}}
    pod = compose_and_check(team, PodRequest(team="alpha", arguments=BUSYBOX, pod_override=override))
    assert pod["spec"]["nodeSelector"] == {"disk": "ssd", "zone": "b"}
    assert pod["spec"]["activeDeadlineSeconds"] == 7200


def test_size_sets_gpus_and_ephemeral_storage():
    huge = {"cpu": "4", "memory": "8Gi", "gpu": 2, "ephemeralStorage": "20Gi"}
    pod = compose_and_check(build_contract(sizes={"small": huge}), PodRequest(team="alpha", arguments=BUSYBOX))
    quantities = {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "ephemeral-storage": "20Gi"}
    assert pod["spec"]["containers"][0]["resources"] == {"requests": quantities, "limits": quantities}


def test_env_from_of_team_and_task_are_both_kept():
    team = build_contract(envFrom=[{"secretRef": {"name": "team"}}])
    own = [{"configMapRef": {"name": "own"}}]
    override = {"spec": {"containers": [{"name": "base", "envFrom": own}]}}
    pod = compose_and_check(team, PodRequest(team="alpha", arguments=BUSYBOX, pod_override=override))
    assert pod["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "team"}}, *own]


@pytest.mark.parametrize(("label", "shown"), [("cc-2", "'cc-2'"), (None, "None")])
def test_changed_fixed_label_is_refused_by_name(label: str | None, shown: str):
    fixed = build_contract().model_copy(update={"label_policy": {"cost-center": "fixed"}})
    own = {"metadata": {"labels": {"cost-center": label, "stage": "test"}}}
    with pytest.raises(PodError) as refusal:
        compose_and_check(fixed, PodRequest(team="alpha", arguments=BUSYBOX, pod_override=own))
    assert str(refusal.value) == (
        f"The label cost-center is {shown}, but team 'alpha' has 'cc-1'. "
        "Leave it out, or ask the platform team to change the team's values."
    )


def test_free_label_is_set_by_the_task():
    own = {"metadata": {"labels": {"cost-center": "cc-2"}}}
    pod = compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX, pod_override=own))
    assert pod["metadata"]["labels"]["cost-center"] == "cc-2"


def test_base_is_the_first_container():
    override = {"spec": {"containers": [{"name": "aside", "image": "a:1"}, {"name": "base", "image": "b:1"}]}}
    pod = compose_and_check(build_contract(), PodRequest(team="alpha", pod_override=override))
    assert [container["name"] for container in pod["spec"]["containers"]] == ["base", "aside"]


def test_sidecar_is_native_and_has_the_registry_prefix():
    prefixed = build_contract(images={**TEAM["images"], "registryPrefix": "registry.test/mirror"})
    pod = compose_and_check(prefixed, PodRequest(team="alpha", arguments=BUSYBOX, sidecars=("log-shipper",)))
    assert pod["spec"]["initContainers"] == [
        {
            "name": "log-shipper",
            "image": "registry.test/mirror/busybox:1.35",
            "restartPolicy": "Always",
            "securityContext": RESTRICTED_CONTEXT,
        }
    ]
    assert pod["spec"]["containers"][0]["image"] == "registry.test/mirror/busybox:1.35"


@pytest.mark.parametrize(
    ("image", "with_prefix"),
    [
        ("busybox:1.35", "registry.test/mirror/busybox:1.35"),
        ("team/app:2", "registry.test/mirror/team/app:2"),
        ("quay.io/org/app:2", "quay.io/org/app:2"),
        ("localhost/app:2", "localhost/app:2"),
        ("registry:5000/app:2", "registry:5000/app:2"),
    ],
)
def test_registry_prefix_is_added_to_images_without_registry(image: str, with_prefix: str):
    assert add_registry_prefix(image, "registry.test/mirror/") == with_prefix
    assert add_registry_prefix(image, "") == image


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (PodRequest(team="alhpa"), "team 'alhpa' is not in the contract. Did you mean 'alpha'?"),
        (
            PodRequest(team="alpha", size="huge"),
            "size 'huge' is not in the contract. Use one of: large, small.",
        ),
        (
            PodRequest(team="alpha", template="gpu"),
            "template 'gpu' is not in the contract. Use one of: default.",
        ),
        (
            PodRequest(team="alpha", sidecars=("log-shiper",)),
            "sidecar 'log-shiper' is not in the contract. Did you mean 'log-shipper'?",
        ),
    ],
)
def test_unknown_name_is_refused_with_the_existing_names(request_: PodRequest, sentence: str):
    with pytest.raises(TeamError) as refusal:
        compose_and_check(build_contract(), request_)
    assert str(refusal.value) == sentence


def test_unknown_name_without_existing_names_is_refused():
    fix = "The contract has no sidecar; ask the platform team for one."
    assert describe_unknown_name("sidecar", "proxy", []) == ("sidecar 'proxy' is not in the contract", fix)


def test_pod_without_image_is_refused():
    with pytest.raises(PodError) as refusal:
        compose_and_check(build_contract(), PodRequest(team="alpha"))
    assert str(refusal.value) == (
        "The pod has no image. Set image='name:tag', or use a template whose container 'base' has an image."
    )


@pytest.mark.parametrize(
    ("container", "evidence", "key"),
    [({"name": "aside"}, "'aside' has no image", "image"), ({"image": "a:1"}, "'a:1' has no name", "name")],
)
def test_container_without_name_or_image_is_refused(container: dict[str, str], evidence: str, key: str):
    with pytest.raises(PodError) as refusal:
        compose_and_check(
            build_contract(),
            PodRequest(team="alpha", arguments=merge(BUSYBOX, {"spec": {"initContainers": [container]}})),
        )
    assert str(refusal.value) == (
        f"The container {evidence}. Add the {key}. To change the container of the task, name the container 'base'."
    )


def test_empty_container_list_does_not_override():
    full = {"spec": {"containers": [], "hostname": "h"}}
    pod = compose_and_check(build_contract(), PodRequest(team="alpha", arguments=BUSYBOX, full_pod_spec=full))
    assert (pod["spec"]["hostname"], pod["spec"]["containers"][0]["image"]) == ("h", "busybox:1.35")
