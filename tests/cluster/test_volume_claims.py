"""Volume claims on a real API server: made with the class in sight, grown, never shrunk, kept until told otherwise."""

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

HOME = "volumes"
SPACE = f"{HOME}-0"
CLASS = "volumes-growing"
NO_REGISTRY = {"host": "", "pullSecret": "regcred"}

Bootstrap = Callable[..., tuple[int, list[str]]]


@pytest.fixture(scope="module")
def growing(stack: Stack) -> Iterator[None]:
    """A class whose claims may grow: the API server takes a larger size, and no more is asked here."""
    (usual,) = (each for each in stack.get("storageclasses")["items"] if each["metadata"]["name"] == "local-path")
    kept = {key: usual[key] for key in ("apiVersion", "kind", "provisioner", "volumeBindingMode", "reclaimPolicy")}
    grows = {**kept, "metadata": {"name": CLASS}, "allowVolumeExpansion": True}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(grows))
    yield
    stack.kubectl("delete", "storageclass", CLASS)


@pytest.fixture
def team(stack: Stack, airflow: AirflowApi, growing: None) -> Iterator[TemporaryTeams]:
    with publish_teams(stack, airflow, HOME, teams=1, volumes=0, registry=NO_REGISTRY) as it:
        yield it


@pytest.fixture
def bootstrap(stack: Stack, programs: Path, team: TemporaryTeams) -> Bootstrap:
    """Runs bootstrap with these volumes in the contract; gives its exit code and what it says of claims, to the end."""

    def run(storage_class: str | None = CLASS, **sizes: str) -> tuple[int, list[str]]:
        declare(stack, sizes, storage_class)
        words = [programs / "platformctl", "bootstrap", "--namespace", HOME, "--yes"]
        done = subprocess.run(words, env=stack.environment, capture_output=True, text=True, timeout=180)
        said = [*done.stdout.splitlines(), done.stderr.splitlines()[-1]]
        lines = [line for line in said if "PersistentVolumeClaim" in line]
        return done.returncode, [line.replace(f"PersistentVolumeClaim {SPACE}/", "") for line in lines]

    return run


def declare(stack: Stack, sizes: dict[str, str], storage_class: str | None) -> None:
    """Let the contract have these volumes: ``big`` of a class, ``wide`` for all nodes, others of the default class."""
    published = stack.get("configmap", "contract", "-n", HOME)
    whole = json.loads(published["data"]["contract.json"])
    whole["teams"][SPACE]["volumes"] = [
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
    patch = {"data": {"contract.json": json.dumps(whole)}}
    stack.kubectl("patch", "configmap", "contract", "-n", HOME, "--type=merge", "-p", json.dumps(patch))


def start(stack: Stack, claim: str) -> None:
    """Make a pod that uses a claim."""
    base = {**POD["spec"]["containers"][0], "volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
    spec: dict[str, Any] = {**POD["spec"], "containers": [base], "volumes": volumes}
    stack.kubectl("apply", "-n", SPACE, "-f", "-", stdin=json.dumps({**POD, "spec": spec}))


def use(stack: Stack, claim: str) -> None:
    """Run a pod that uses a claim, so that it is bound."""
    start(stack, claim)
    stack.kubectl("wait", "pod/sleeper", "-n", SPACE, "--for=condition=Ready", "--timeout=90s", timeout_s=100)


def claims(stack: Stack) -> dict[str, str]:
    """The claims that are there and the size that each asks for."""
    found = stack.get("pvc", "-n", SPACE)["items"]
    return {each["metadata"]["name"]: each["spec"]["resources"]["requests"]["storage"] for each in found}


def stuck(name: str) -> str:
    return (
        f"Error: Nothing was written: {name} cannot change to match the contract. "
        "Correct the volume's values and run helm upgrade."
    )


WAITS = "Pending: its storage class binds it when a pod first uses it"


def test_the_class_is_resolved_and_a_claim_that_waits_for_its_first_pod_is_healthy(bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", big="1Mi") == (
        0,
        [
            "+ data: create (1Mi, ReadWriteOnce, class local-path (the default))",
            f"+ big: create (1Mi, ReadWriteOnce, class {CLASS})",
            f"✔ data: 1Mi, ReadWriteOnce, class local-path, {WAITS}",
            f"✔ big: 1Mi, ReadWriteOnce, class {CLASS}, {WAITS}",
        ],
    )


def test_a_claim_grows(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", big="1Mi")[0] == 0
    use(stack, "big")
    assert bootstrap(data="1Mi", big="2Mi") == (
        0,
        [
            "= data: unchanged (1Mi, ReadWriteOnce, class local-path, Pending)",
            "~ big: size: 1Mi → 2Mi",
            f"✔ data: 1Mi, ReadWriteOnce, class local-path, {WAITS}",
            f"✔ big: 2Mi, ReadWriteOnce, class {CLASS}, Bound",
        ],
    )


def test_a_claim_that_cannot_be_as_declared_is_kept_and_nothing_is_done_beside_it(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(data="1Mi", big="2Mi")[0] == 0
    use(stack, "big")
    assert bootstrap(data="2Mi", big="4Mi") == (
        1,
        [
            "! data: cannot change in place: size 1Mi → 2Mi: storage class local-path does not allow expansion "
            "(allowVolumeExpansion)",
            "~ big: size: 2Mi → 4Mi",
            stuck("data"),
        ],
    )
    assert bootstrap(data="1Mi", big="1Mi", more="1Mi") == (
        1,
        [
            "= data: unchanged (1Mi, ReadWriteOnce, class local-path, Pending)",
            "! big: cannot change in place: size 2Mi → 1Mi: a claim cannot shrink. "
            "Set the size back, or use a new volume and copy the data",
            "+ more: create (1Mi, ReadWriteOnce, class local-path (the default))",
            stuck("big"),
        ],
    )
    assert claims(stack) == {"data": "1Mi", "big": "2Mi"}


def test_a_size_that_another_hand_has_set_is_had_back_by_the_command_that_is_told(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(big="1Mi")[0] == 0
    use(stack, "big")
    size = {"spec": {"resources": {"requests": {"storage": "2Mi"}}}}
    stack.kubectl("patch", "pvc", "big", "-n", SPACE, "--field-manager=kubectl-edit", "-p", json.dumps(size))
    code, (said,) = bootstrap(big="3Mi")
    why, _, way_out = said.partition(" To overwrite the other manager's fields, run: ")
    assert (code, why) == (
        3,
        f"Error: The API server refused to create or patch persistentvolumeclaims/big in namespace {SPACE}: Apply "
        'failed with 1 conflict: conflict with "kubectl-edit" using v1: .spec.resources.requests.storage.',
    )
    assert claims(stack) == {"big": "2Mi"}
    path = f"{stack.programs}:{os.environ['PATH']}"
    subprocess.run(way_out, shell=True, env={**stack.environment, "PATH": path}, timeout=60, check=True)
    kept = f"3Mi, ReadWriteOnce, class {CLASS}, Bound"
    assert bootstrap(big="3Mi") == (0, [f"= big: unchanged ({kept})", f"✔ big: {kept}"])


def test_a_claim_that_no_longer_names_its_class_grows_in_it(stack: Stack, bootstrap: Bootstrap):
    assert bootstrap(big="1Mi")[0] == 0
    use(stack, "big")
    grown = f"✔ big: 2Mi, ReadWriteOnce, class {CLASS}, Bound"
    assert bootstrap(storage_class=None, big="2Mi") == (0, ["~ big: size: 1Mi → 2Mi", grown])


def test_a_claim_without_a_class_waits_for_a_volume_that_somebody_makes(stack: Stack, bootstrap: Bootstrap):
    code, said = bootstrap(storage_class="", big="1Mi")
    assert (code, said) == (
        1,
        [
            "+ big: create (1Mi, ReadWriteOnce, class none: an administrator creates its volume)",
            f"✗ big: 1Mi, ReadWriteOnce, class none, Pending. Inspect it with: kubectl -n {SPACE} describe pvc big",
        ],
    )


def test_a_claim_that_its_provisioner_refuses_is_doubted_before_its_first_pod_and_not_healthy_after(
    stack: Stack, bootstrap: Bootstrap
):
    doubt = "rancher.io/local-path supports only ReadWriteOnce and ReadWriteOncePod unless it has a shared file system"
    wide = "1Mi, ReadWriteMany, class local-path, Pending"
    assert bootstrap(wide="1Mi") == (
        0,
        [
            "+ wide: create (1Mi, ReadWriteMany, class local-path (the default))",
            f"? wide: {wide}: its storage class binds it when a pod first uses it; {doubt}",
        ],
    )
    start(stack, "wide")
    chosen = "jsonpath={.metadata.annotations.volume\\.kubernetes\\.io/selected-node}"
    stack.kubectl("wait", "pvc/wide", "-n", SPACE, f"--for={chosen}", "--timeout=60s", timeout_s=70)
    node = stack.get("pvc", "wide", "-n", SPACE)["metadata"]["annotations"]["volume.kubernetes.io/selected-node"]
    why = f"although a pod waits for it on node {node}. Inspect it with: kubectl -n {SPACE} describe pvc wide"
    assert bootstrap(wide="1Mi") == (1, [f"= wide: unchanged ({wide})", f"✗ wide: {wide}, {why}"])


def test_what_the_contract_drops_is_kept_until_its_deletion_is_confirmed(
    stack: Stack, programs: Path, bootstrap: Bootstrap
):
    assert bootstrap(data="1Mi", extra="1Mi")[0] == 0
    orphan = "= extra: unchanged (1Mi, ReadWriteOnce, class local-path, Pending; no longer in the contract, kept)"
    assert orphan in bootstrap(data="1Mi")[1]
    words = [programs / "platformctl", "teams", "delete", SPACE, "--namespace", HOME]

    def delete(*more: str) -> tuple[int, dict[str, str]]:
        done = subprocess.run([*words, *more], env=stack.environment, capture_output=True, text=True, timeout=60)
        return done.returncode, claims(stack)

    both = {"data": "1Mi", "extra": "1Mi"}
    assert [delete(), delete("--delete-data"), delete("--delete-data", "--confirm", HOME)] == [
        (0, both),
        (64, both),
        (64, both),
    ]
    assert delete("--delete-data", "--confirm", SPACE) == (0, {})


def test_without_a_default_class_neither_a_claim_that_names_none_is_made_nor_anything_else(
    stack: Stack, airflow: AirflowApi, team: TemporaryTeams, bootstrap: Bootstrap
):
    key = "storageclass.kubernetes.io/is-default-class"
    stack.kubectl("annotate", "storageclass", "local-path", f"{key}-", "--overwrite")
    try:
        said = bootstrap(data="1Mi", big="1Mi")
    finally:
        stack.kubectl("annotate", "storageclass", "local-path", f"{key}=true", "--overwrite")
    reason = "the cluster has no default storage class. Set storageClass of the volume"
    big = f"+ big: create (1Mi, ReadWriteOnce, class {CLASS})"
    assert (said, claims(stack)) == ((1, [f"! data: {reason}", big, stuck("data")]), {})
    connections = [each["connection_id"] for each in airflow.get("connections?limit=100")["connections"]]
    assert (team.connection in connections, stack.get("leases", "-n", HOME)["items"]) == (False, [])
