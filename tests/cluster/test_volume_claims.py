"""Volume claims on a real API server: creation, growth and confirmed deletion."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.support.pods.sleeper import POD
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.temporary_teams import TemporaryTeams, publish_teams

CONTRACT_NAMESPACE = "volumes"
TEAM_NAMESPACE = f"{CONTRACT_NAMESPACE}-0"
CLASS = "volumes-growing"
NO_REGISTRY = {"host": "", "pullSecret": "regcred"}

Bootstrap = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def expandable_class(stack: Stack) -> Iterator[None]:
    """A storage class that allows expansion; the tests only change the requested size."""
    (default_class,) = (
        item for item in stack.get("storageclasses")["items"] if item["metadata"]["name"] == "local-path"
    )
    fields = {
        key: default_class[key] for key in ("apiVersion", "kind", "provisioner", "volumeBindingMode", "reclaimPolicy")
    }
    storage_class_object = {**fields, "metadata": {"name": CLASS}, "allowVolumeExpansion": True}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(storage_class_object))
    yield
    stack.kubectl("delete", "storageclass", CLASS)


@pytest.fixture
def team(stack: Stack, airflow: AirflowApi, expandable_class: None) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, CONTRACT_NAMESPACE, teams=1, volumes=0, registry=NO_REGISTRY) as resource:
        yield resource


@pytest.fixture
def bootstrap(stack: Stack, programs: Path, team: TemporaryTeams) -> Bootstrap:
    """Runs bootstrap with volumes in the contract; returns its exit code and its lines about claims."""

    def run(storage_class: str | None = CLASS, **sizes: str) -> tuple[int, list[str]]:
        publish_volumes(stack, sizes, storage_class)
        words = [programs / "platformctl", "bootstrap", "--namespace", CONTRACT_NAMESPACE, "--yes"]
        process = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=180)
        output = [*process.stdout.splitlines(), process.stderr.splitlines()[-1]]
        lines = [line for line in output if "PersistentVolumeClaim" in line]
        return process.returncode, [line.replace(f"PersistentVolumeClaim {TEAM_NAMESPACE}/", "") for line in lines]

    return run


def publish_volumes(stack: Stack, sizes: dict[str, str], storage_class: str | None) -> None:
    """Publish volumes in the contract.

    ``big`` has a class, ``wide`` is for all nodes, others have the default class.
    """
    config_map = stack.get("configmap", "contract", "-n", CONTRACT_NAMESPACE)
    contract = json.loads(config_map["data"]["contract.json"])
    contract["teams"][TEAM_NAMESPACE]["volumes"] = [
        {
            "name": name,
            "size": size,
            "mountPath": f"/{name}",
            "accessMode": "ReadWriteMany" if name == "wide" else "ReadWriteOnce",
            "readOnly": False,
            "storageClass": storage_class if name == "big" else None,
        }
        for name, size in sizes.items()
    ]
    patch = {"data": {"contract.json": json.dumps(contract)}}
    stack.kubectl("patch", "configmap", "contract", "-n", CONTRACT_NAMESPACE, "--type=merge", "-p", json.dumps(patch))


def create_pod(stack: Stack, claim: str) -> None:
    """Create a pod that uses a claim."""
    base = {**POD["spec"]["containers"][0], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    spec: dict[str, Any] = {**POD["spec"], "containers": [base], "volumes": volumes}
    stack.kubectl("apply", "-n", TEAM_NAMESPACE, "-f", "-", stdin=json.dumps({**POD, "spec": spec}))


def bind_claim(stack: Stack, claim: str) -> None:
    """Run a pod that uses a claim, so that it is bound."""
    create_pod(stack, claim)
    stack.kubectl("wait", "pod/sleeper", "-n", TEAM_NAMESPACE, "--for=condition=Ready", "--timeout=90s", timeout_s=100)


def read_claims(stack: Stack) -> dict[str, str]:
    """Return the claims and their requested sizes."""
    items = stack.get("pvc", "-n", TEAM_NAMESPACE)["items"]
    return {item["metadata"]["name"]: item["spec"]["resources"]["requests"]["storage"] for item in items}


def blocked_message(name: str) -> str:
    return (
        f"Error: Nothing was written: {name} cannot change to match the contract. "
        "Correct the volume's values and run helm upgrade."
    )


PENDING = "Pending: its storage class binds it when a pod first uses it"


def test_class_is_resolved_and_a_pending_claim_is_healthy(bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", big="1Mi") == (
        0,
        [
            "+ data: create (1Mi, ReadWriteOnce, class local-path (the default))",
            f"+ big: create (1Mi, ReadWriteOnce, class {CLASS})",
            f"✔ data: 1Mi, ReadWriteOnce, class local-path, {PENDING}",
            f"✔ big: 1Mi, ReadWriteOnce, class {CLASS}, {PENDING}",
        ],
    )


def test_claim_grows(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", big="1Mi")[0] == 0
    bind_claim(stack, "big")
    assert bootstrap(data="1Mi", big="2Mi") == (
        0,
        [
            "= data: unchanged (1Mi, ReadWriteOnce, class local-path, Pending)",
            "~ big: size: 1Mi → 2Mi",
            f"✔ data: 1Mi, ReadWriteOnce, class local-path, {PENDING}",
            f"✔ big: 2Mi, ReadWriteOnce, class {CLASS}, Bound",
        ],
    )


def test_claim_that_cannot_change_blocks_the_run(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", big="2Mi")[0] == 0
    bind_claim(stack, "big")
    assert bootstrap(data="2Mi", big="4Mi") == (
        1,
        [
            "! data: cannot change in place: size 1Mi → 2Mi: storage class local-path does not allow expansion "
            "(allowVolumeExpansion). Set the old value again, or use a new volume and copy the data",
            "~ big: size: 2Mi → 4Mi",
            blocked_message("data"),
        ],
    )
    assert bootstrap(data="1Mi", big="1Mi", more="1Mi") == (
        1,
        [
            "= data: unchanged (1Mi, ReadWriteOnce, class local-path, Pending)",
            "! big: cannot change in place: size 2Mi → 1Mi: a claim cannot shrink. "
            "Set the old value again, or use a new volume and copy the data",
            "+ more: create (1Mi, ReadWriteOnce, class local-path (the default))",
            blocked_message("big"),
        ],
    )
    assert read_claims(stack) == {"data": "1Mi", "big": "2Mi"}


def test_overwritten_size_is_restored_by_the_printed_command(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(big="1Mi")[0] == 0
    bind_claim(stack, "big")
    size = {"spec": {"resources": {"requests": {"storage": "2Mi"}}}}
    stack.kubectl("patch", "pvc", "big", "-n", TEAM_NAMESPACE, "--field-manager=kubectl-edit", "-p", json.dumps(size))
    code, (output,) = bootstrap(big="3Mi")
    message, _, command = output.partition(" To overwrite the other manager's fields, run: ")
    assert (code, message) == (
        3,
        f"Error: The API server refused to create or patch persistentvolumeclaims/big in namespace {TEAM_NAMESPACE}: "
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using v1: .spec.resources.requests.storage.',
    )
    assert read_claims(stack) == {"big": "2Mi"}
    path = f"{stack.programs}:{os.environ['PATH']}"
    subprocess.run(command, shell=True, env={**stack.environment, "PATH": path}, timeout=60, check=True)
    fields = f"3Mi, ReadWriteOnce, class {CLASS}, Bound"
    assert bootstrap(big="3Mi") == (0, [f"= big: unchanged ({fields})", f"✔ big: {fields}"])


def test_claim_without_a_declared_class_grows_in_its_class(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(big="1Mi")[0] == 0
    bind_claim(stack, "big")
    grown = f"✔ big: 2Mi, ReadWriteOnce, class {CLASS}, Bound"
    assert bootstrap(storage_class=None, big="2Mi") == (0, ["~ big: size: 1Mi → 2Mi", grown])


def test_claim_without_a_class_waits_for_a_volume(stack: Stack, bootstrap: Bootstrap):
    code, output = bootstrap(storage_class="", big="1Mi")
    assert (code, output) == (
        1,
        [
            "+ big: create (1Mi, ReadWriteOnce, class none: an administrator creates its volume)",
            "✗ big: 1Mi, ReadWriteOnce, class none, Pending. Inspect it with: "
            f"kubectl -n {TEAM_NAMESPACE} describe pvc big",
        ],
    )


def test_rejected_claim_is_uncertain_first_and_unhealthy_later(stack: Stack, bootstrap: Bootstrap):
    warning = (
        "rancher.io/local-path supports only ReadWriteOnce and ReadWriteOncePod unless it has a shared file system"
    )
    wide = "1Mi, ReadWriteMany, class local-path, Pending"
    assert bootstrap(wide="1Mi") == (
        0,
        [
            "+ wide: create (1Mi, ReadWriteMany, class local-path (the default))",
            f"? wide: {wide}: its storage class binds it when a pod first uses it; {warning}",
        ],
    )
    create_pod(stack, "wide")
    condition = "jsonpath={.metadata.annotations.volume\\.kubernetes\\.io/selected-node}"
    stack.kubectl("wait", "pvc/wide", "-n", TEAM_NAMESPACE, f"--for={condition}", "--timeout=60s", timeout_s=70)
    annotations = stack.get("pvc", "wide", "-n", TEAM_NAMESPACE)["metadata"]["annotations"]
    node = annotations["volume.kubernetes.io/selected-node"]
    command = f"kubectl -n {TEAM_NAMESPACE} describe pvc wide"
    message = f"although a pod waits for it on node {node}. Inspect it with: {command}"
    assert bootstrap(wide="1Mi") == (1, [f"= wide: unchanged ({wide})", f"✗ wide: {wide}, {message}"])


def test_dropped_claim_is_kept_until_its_deletion_is_confirmed(stack: Stack, programs: Path, bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", extra="1Mi")[0] == 0
    dropped_claim = (
        "= extra: unchanged (1Mi, ReadWriteOnce, class local-path, Pending; no longer in the contract, kept)"
    )
    assert dropped_claim in bootstrap(data="1Mi")[1]
    words = [programs / "platformctl", "teams", "delete", TEAM_NAMESPACE, "--namespace", CONTRACT_NAMESPACE]

    def delete(*more: str) -> tuple[int, dict[str, str]]:
        process = subprocess.run([*words, *more], env=stack.environment, capture_output=True, text=True, timeout=60)
        return process.returncode, read_claims(stack)

    two_claims = {"data": "1Mi", "extra": "1Mi"}
    assert [delete(), delete("--delete-data"), delete("--delete-data", "--confirm", CONTRACT_NAMESPACE)] == [
        (0, two_claims),
        (64, two_claims),
        (64, two_claims),
    ]
    assert delete("--delete-data", "--confirm", TEAM_NAMESPACE) == (0, {})


def test_missing_default_class_blocks_the_run(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, bootstrap: Bootstrap
):
    key = "storageclass.kubernetes.io/is-default-class"
    stack.kubectl("annotate", "storageclass", "local-path", f"{key}-", "--overwrite")
    try:
        output = bootstrap(data="1Mi", big="1Mi")
    finally:
        stack.kubectl("annotate", "storageclass", "local-path", f"{key}=true", "--overwrite")
    reason = "the cluster has no default storage class. Set storageClass of the volume"
    big = f"+ big: create (1Mi, ReadWriteOnce, class {CLASS})"
    assert (output, read_claims(stack)) == ((1, [f"! data: {reason}", big, blocked_message("data")]), {})
    connections = [item["connection_id"] for item in airflow.get("connections?limit=100")["connections"]]
    assert (team.connection in connections, stack.get("leases", "-n", CONTRACT_NAMESPACE)["items"]) == (False, [])
