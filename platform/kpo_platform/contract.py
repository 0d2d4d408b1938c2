"""The contract: what the chart published about the platform and its teams.

The chart merges every default and spells out every name, once, into one ConfigMap. Everything in Python reads
names and defaults from here and derives none again. Mounted into Airflow's pods it is a file that
``KPO_PLATFORM_CONTRACT`` names; `platformctl` reads the same text over the API.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from kpo_platform.errors import ContractError, TeamError, unknown

VERSION = 1
"""The version of the contract that this package reads."""

FILE_VARIABLE = "KPO_PLATFORM_CONTRACT"
"""The environment variable that names the contract's file."""

CONFIGMAP_KEY = "contract.json"
"""The key of the ConfigMap that holds the contract."""

CONFIGMAP_LABELS = "app.kubernetes.io/part-of=kpo-platform,app.kubernetes.io/component=contract"
"""The label selector that finds the contract's ConfigMap in a namespace."""


class _Part(BaseModel):
    # Unknown keys pass: a newer chart may add a field within one contract version.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Size(_Part):
    """Resources of the base container, as Kubernetes quantities; requests and limits are the same."""

    cpu: str
    memory: str
    gpu: int
    ephemeral_storage: str


class Owner(_Part):
    """Who may see and stop the team's pods in Kubernetes; the kind is ``Group`` or ``User``."""

    kind: str
    name: str


class Limits(_Part):
    """What one container may use, as in a LimitRange: resource to quantity."""

    default: dict[str, str]
    default_request: dict[str, str]
    max: dict[str, str]


class Scheduling(_Part):
    """Where the team's pods run, as in a pod; an empty priority class means the cluster's default."""

    node_selector: dict[str, str]
    tolerations: tuple[dict[str, Any], ...]
    affinity: dict[str, Any]
    priority_class_name: str


class Network(_Part):
    """Whom the team's pods may talk to besides the cluster's DNS: rules as in a NetworkPolicy."""

    egress: tuple[dict[str, Any], ...]
    ingress: tuple[dict[str, Any], ...]


class Rights(_Part):
    """How Airflow's rights in the team's namespace differ from those that all teams give it."""

    exec: bool
    extra_rules: tuple[dict[str, Any], ...]


class Cleanup(_Part):
    """How many seconds after their end pods are removed; 0 means never."""

    max_age: int


class ServiceAccountRef(_Part):
    """A service account somewhere in the cluster."""

    namespace: str
    name: str


class TeamServiceAccount(_Part):
    """The account under which a team's pods run."""

    name: str
    mount_token: bool
    annotations: dict[str, str]


class Images(_Part):
    """How a team's image names are read."""

    registry_prefix: str


class Registry(_Part):
    """The team's private registry; an empty host means there is none."""

    host: str
    pull_secret: str


class Volume(_Part):
    """A claim of the team; its PersistentVolumeClaim bears the volume's name."""

    name: str
    size: str
    access_mode: str
    storage_class: str | None
    mount_path: str
    read_only: bool


class ConnectionRef(_Part):
    """The Airflow connection that the team's tasks use."""

    id: str


class Dags(_Part):
    """The git repository of the team's DAGs; an empty repo means there is none."""

    repo: str
    ref: str
    subdir: str
    refresh_interval: int


class Policy(_Part):
    """How the team's tasks run unless a task says otherwise. Times are in seconds; a run time of 0 has no end."""

    on_finish: str
    deferrable: bool
    get_logs: bool
    startup_timeout: int
    max_runtime: int


class Team(_Part):
    """One team, every default filled in."""

    namespace: str
    owners: tuple[Owner, ...]
    service_account: TeamServiceAccount
    labels: dict[str, str]
    annotations: dict[str, str]
    pod_security: str
    quota: dict[str, str]
    limits: Limits
    sizes: dict[str, Size]
    default_size: str
    images: Images
    registry: Registry
    volumes: tuple[Volume, ...]
    template: str
    sidecars: tuple[str, ...]
    scheduling: Scheduling
    env: tuple[dict[str, Any], ...]
    env_from: tuple[dict[str, Any], ...]
    network: Network
    connection: ConnectionRef
    dags: Dags
    rbac: Rights
    cleanup: Cleanup
    policy: Policy

    def size(self, name: str | None = None) -> Size:
        """The size of this name, or the team's default size.

        Raises:
            TeamError: the team has no such size.
        """
        wanted = name or self.default_size
        if wanted not in self.sizes:
            raise TeamError(unknown("size", wanted, self.sizes))
        return self.sizes[wanted]


class Service(_Part):
    """A Service in the release's namespace."""

    name: str
    port: int


class Airflow(_Part):
    """The Airflow of this release, as far as the tools have to reach it."""

    api_service: Service
    admin_secret: str
    service_accounts: tuple[ServiceAccountRef, ...]


class Release(_Part):
    """The Helm release that published the contract."""

    name: str
    namespace: str


class XComSidecar(_Part):
    """The container that the stock operator adds to fetch an XCom."""

    image: str
    resources: dict[str, Any]
    security_context: dict[str, Any]


class Contract(_Part):
    """Everything the chart published, checked."""

    version: int
    chart_version: str
    release: Release
    airflow: Airflow
    xcom_sidecar: XComSidecar
    label_policy: dict[str, str]
    gpu_resource: str
    rules: dict[str, tuple[dict[str, Any], ...]]
    pod_templates: dict[str, dict[str, Any]]
    sidecars: dict[str, dict[str, Any]]
    teams: dict[str, Team] = Field(default_factory=dict)

    def team(self, name: str) -> Team:
        """The team of this name.

        Raises:
            TeamError: the contract has no such team; the message names the nearest one.
        """
        if name not in self.teams:
            raise TeamError(unknown("team", name, self.teams))
        return self.teams[name]


def parse(text: str) -> Contract:
    """Read a contract from its JSON text.

    Raises:
        ContractError: the text is no contract, or one of another version.
    """
    try:
        contract = Contract.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"]) or "its text"
        raise ContractError(
            f"The contract cannot be read: {where}: {first['msg']}. "
            "It is written by the chart: upgrade chart and package to the same version."
        ) from error
    if contract.version != VERSION:
        older = "package" if contract.version > VERSION else "chart"
        raise ContractError(
            f"The contract has version {contract.version}, this package reads version {VERSION}: upgrade the {older}."
        )
    return contract


_loaded: tuple[tuple[str, int, int], Contract] | None = None


def load(path: str | Path | None = None) -> Contract:
    """The contract from a mounted file, read again only when the file changed.

    Args:
        path: the file; by default what ``KPO_PLATFORM_CONTRACT`` names.

    Raises:
        ContractError: no file is named, it cannot be read, or it is no contract of this version.
    """
    global _loaded
    name = str(path or os.environ.get(FILE_VARIABLE, ""))
    if not name:
        raise ContractError(
            f"No contract: {FILE_VARIABLE} is not set. The chart sets it in Airflow's pods; "
            "elsewhere let it name a file that holds the contract."
        )
    try:
        stat = Path(name).stat()
        stamp = (name, stat.st_mtime_ns, stat.st_ino)
        if _loaded is None or _loaded[0] != stamp:
            _loaded = (stamp, parse(Path(name).read_text(encoding="utf-8")))
    except OSError as error:
        raise ContractError(f"The contract {name} cannot be read: {error.strerror}.") from error
    return _loaded[1]
