"""The place of the benchmark: a release with a team for each kind of place, and the rights of Airflow there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fault_scores.catalogue.image import build_login
from benchmarks.fault_scores.fault import Fault, Healthy, Place
from benchmarks.fault_scores.images import LOGIN_SECRET
from benchmarks.fault_scores.nodes import delete_nodes, run_nodes
from benchmarks.fault_scores.operators import Operators, prepare_processes
from benchmarks.fault_scores.services import Services
from common.paths import REPOSITORY
from stack.release import Stack
from stack.team_release import install_team_release

Json = dict[str, Any]

RELEASE = "faults"
"""The release, and its namespace."""

GRACE_S = 10
"""The tasks wait so long for what may still be created; the default, a minute, would only take longer."""

_ACCOUNT, _WIDE_ACCOUNT = "worker", "wide-worker"
"""Service accounts: that of Airflow, and one with all rights, as of an Airflow that the chart has not installed."""

_MARK = "kpo-faults"
_TEAM: Json = {"policy": {"missingObjectTimeout": GRACE_S}}
_GLOBAL_KINDS = (
    "validatingwebhookconfigurations,validatingadmissionpolicies,validatingadmissionpolicybindings,"
    "persistentvolumes,storageclasses,runtimeclasses,csidrivers"
)
_HELD_KINDS = ("pods", "persistentvolumeclaims", "configmaps")


@dataclass(frozen=True)
class Scene:
    """The place.

    Attributes:
        stack: the cluster.
        operators: runs operators with the rights of Airflow.
        services: the registry and the servers that misbehave.
        teams: index of a fault or healthy pod → its team.
        folder: a folder for files.
    """

    stack: Stack
    operators: Operators
    services: Services
    teams: dict[str, str]
    folder: Path

    @property
    def programs(self) -> Path:
        """The folder of platformctl."""
        return Path(sys.executable).parent

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which platformctl of this checkout and kubectl use the cluster."""
        path = f"{self.stack.programs}:{self.programs}:{os.environ['PATH']}"
        python = {"PYTHONPATH": str(REPOSITORY / "platform")}
        return {**self.stack.environment, "PATH": path, "HOME": str(self.folder), **python}  # kubectl's cache

    def get_namespace(self, name: str) -> str:
        """Return the namespace of a fault."""
        return f"team-{self.teams[name]}"

    def create(self, namespace: str, objects: Iterable[Json]) -> None:
        """Create objects, marked for the cleanup."""
        items = [_mark(each) for each in objects]
        if items:
            content = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
            content = content.replace("{namespace}", namespace).replace("{authority}", self.services.authority)
            self.stack.kubectl("create", "-n", namespace, "-f", "-", stdin=content)

    def run_kubectl(self, namespace: str, words: Iterable[str], pod: str = "") -> None:
        """Run a command of a fault."""
        filled = [word.replace("{namespace}", namespace).replace("{pod}", pod) for word in words]
        self.stack.kubectl("-n", namespace, *filled, timeout_s=120)


@contextmanager
def open_scene(stack: Stack, services: Services, faults: list[Fault | Healthy], folder: Path) -> Iterator[Scene]:
    """Install the release and its teams during the block; remains of an interrupted run are deleted first."""
    teams, values = assign_teams(faults)
    clean_up(stack)
    with install_team_release(stack, RELEASE, values):
        try:
            _prepare_namespaces(stack, services, faults, teams)
            kubeconfig, contract = _prepare_airflow(stack, folder)
            prepare_processes(contract, folder)
            image = json.loads(contract.read_text())["xcomSidecar"]["image"]
            with run_nodes(stack):
                wide = _create_token(stack, _WIDE_ACCOUNT)
                yield Scene(stack, Operators(kubeconfig, image, wide), services, teams, folder)
        finally:
            clean_up(stack)


def clean_up(stack: Stack) -> None:
    """Delete what the faults have left: marked objects, held deletions, and nodes."""
    delete_nodes(stack)  # a pod on a node without a kubelet would keep its namespace
    names = [each.partition("/")[2] for each in stack.kubectl("get", "namespaces", "-l", _MARK, "-o", "name").split()]
    for namespace in names:
        for kind in _HELD_KINDS:
            _release_held(stack, namespace, kind)
    stack.kubectl("delete", _GLOBAL_KINDS, "-l", _MARK, "--wait=false")
    bindings = [f"{RELEASE}-{account}" for account in (_ACCOUNT, _WIDE_ACCOUNT)]
    stack.kubectl("delete", "clusterrolebinding", *bindings, "--ignore-not-found")
    if names:
        stack.kubectl("delete", "namespace", *names, "--ignore-not-found", "--wait", timeout_s=180)


def _release_held(stack: Stack, namespace: str, kind: str) -> None:
    """Remove the finalizers that faults have set."""
    for item in stack.get(kind, "-n", namespace)["items"]:
        finalizers = item["metadata"].get("finalizers", [])
        kept = [each for each in finalizers if not each.startswith("example.com/")]
        if kept != finalizers:
            patch = json.dumps({"metadata": {"finalizers": kept}})
            name = f"{kind}/{item['metadata']['name']}"
            stack.kubectl("patch", name, "-n", namespace, "--type=merge", "-p", patch)


def assign_teams(faults: Iterable[Fault | Healthy]) -> tuple[dict[str, str], Json]:
    """Give every fault a team: one of its own, or one that it shares with those of the same place."""
    shared: dict[str, str] = {}
    teams: dict[str, str] = {}
    values: dict[str, Json] = {}
    for each in faults:
        key = each.name if each.place.is_own else json.dumps([each.place.team, each.place.level], sort_keys=True)
        team = shared.setdefault(key, f"{RELEASE}-{len(shared)}")
        teams[each.name] = team
        values[team] = {**_TEAM, **each.place.team}
    return teams, {"teams": values}


def _prepare_namespaces(
    stack: Stack, services: Services, faults: Iterable[Fault | Healthy], teams: dict[str, str]
) -> None:
    """Mark the namespaces, raise their Pod Security levels, and create the pull secret of the registry."""
    places: dict[str, Place] = {f"team-{teams[each.name]}": each.place for each in faults}
    registry = services.registry
    login = build_login(LOGIN_SECRET, registry.host, registry.user, registry.password)
    for namespace, place in places.items():
        level = [f"pod-security.kubernetes.io/enforce={place.level}"] if place.level else []
        stack.kubectl("label", "namespace", namespace, f"{_MARK}=yes", *level, "--overwrite")
        stack.kubectl("apply", "-n", namespace, "-f", "-", stdin=json.dumps(login))


def _prepare_airflow(stack: Stack, folder: Path) -> tuple[Json, Path]:
    """Create Airflow's service account, and write the contract; return the account's kubeconfig and the contract."""
    for name in (_ACCOUNT, _WIDE_ACCOUNT):
        stack.kubectl("create", "serviceaccount", name, "-n", RELEASE)
    reader = yaml.safe_load((REPOSITORY / "rbac" / "node-reader.yaml").read_text(encoding="utf-8"))
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(reader))
    for role, account in ((reader["metadata"]["name"], _ACCOUNT), ("cluster-admin", _WIDE_ACCOUNT)):
        words = (f"--clusterrole={role}", f"--serviceaccount={RELEASE}:{account}")
        stack.kubectl("create", "clusterrolebinding", f"{RELEASE}-{account}", *words)
    kubeconfig = stack.read_kubeconfig()
    kubeconfig["users"][0]["user"] = {"token": _create_token(stack, _ACCOUNT)}
    label = "app.kubernetes.io/component=contract"
    (config_map,) = stack.get("configmaps", "-n", RELEASE, "-l", label)["items"]
    file = folder / "contract.json"
    file.write_text(config_map["data"]["contract.json"], encoding="utf-8")
    return kubeconfig, file


def _create_token(stack: Stack, account: str) -> str:
    return stack.kubectl("create", "token", account, "-n", RELEASE, "--duration=3h").strip()


def _mark(item: Json) -> Json:
    metadata = item["metadata"]
    return {**item, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), _MARK: "yes"}}}
