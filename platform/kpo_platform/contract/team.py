"""Model of a team: all defaults filled in, all names resolved."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from kpo_platform.errors import TeamError, describe_unknown_name


class ContractModel(BaseModel):
    """Base class of the contract's models: frozen, with camelCase keys in JSON."""

    # Unknown keys are ignored: a newer chart may add a field within one contract version.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Size(ContractModel):
    """Resources of the base container as Kubernetes quantities; requests equal limits."""

    cpu: str
    memory: str
    gpu: int
    ephemeral_storage: str


class Owner(ContractModel):
    """A user or group that may see and stop the team's pods; ``kind`` is ``Group`` or ``User``."""

    kind: str
    name: str


class Limits(ContractModel):
    """Default and maximum resources of a container, as in a LimitRange: resource to quantity."""

    default: dict[str, str]
    default_request: dict[str, str]
    max: dict[str, str]


class Scheduling(ContractModel):
    """Scheduling fields of the team's pods; an empty priority class means the cluster's default."""

    node_selector: dict[str, str]
    tolerations: tuple[dict[str, Any], ...]
    affinity: dict[str, Any]
    priority_class_name: str


class Network(ContractModel):
    """Allowed network traffic besides DNS, as rules of a NetworkPolicy."""

    egress: tuple[dict[str, Any], ...]
    ingress: tuple[dict[str, Any], ...]


class Rights(ContractModel):
    """Team-specific changes to Airflow's rights in the namespace of the team."""

    exec: bool
    extra_rules: tuple[dict[str, Any], ...]


class Cleanup(ContractModel):
    """Deletion of ended pods; ``max_age`` is in seconds after the end, 0 means never."""

    max_age: int


class TeamServiceAccount(ContractModel):
    """The service account of the team's pods."""

    name: str
    mount_token: bool
    annotations: dict[str, str]


class Images(ContractModel):
    """Rules for the team's images.

    ``allow`` has patterns (``fnmatch``) for the whole name including the registry prefix; empty allows any image.
    ``pin`` is ``none``, ``tag`` (a tag other than ``latest``, or a digest, is required) or ``digest``.
    """

    registry_prefix: str
    allow: tuple[str, ...]
    pin: str


class Registry(ContractModel):
    """The team's private registry; an empty host means none."""

    host: str
    pull_secret: str


class Volume(ContractModel):
    """A volume of the team; its PersistentVolumeClaim has the same name."""

    name: str
    size: str
    access_mode: str
    storage_class: str | None
    mount_path: str
    read_only: bool


class ConnectionRef(ContractModel):
    """The Airflow connection of the team's tasks.

    ``mode`` is ``inCluster``, ``kubeconfig`` or ``remote``. ``via`` is where bootstrap stores the connection: ``api``,
    in Airflow through its REST API, or ``env``, in a Secret from which Airflow's pods take an environment variable.
    """

    id: str
    mode: str
    via: str


class Dags(ContractModel):
    """The git repository of the team's DAGs; an empty ``repo`` means none.

    ``credentials_secret`` is a Secret in the namespace of the release; empty means a public repository.
    ``refresh_interval`` is in seconds.
    """

    repo: str
    ref: str
    subdir: str
    credentials_secret: str
    refresh_interval: int


class Policy(ContractModel):
    """Defaults for the team's tasks.

    Timeouts, ``defer_after`` and ``max_runtime`` are in seconds; a ``max_runtime`` of 0 means no limit. ``on_failure``
    is ``keep``, ``delete`` or empty; empty means that ``on_finish`` applies. ``xcom`` is ``message`` or ``sidecar``.
    The contract of an older chart lacks the fields with a default.
    """

    on_finish: str
    on_failure: str
    deferrable: bool
    defer_after: int = 5
    get_logs: bool
    startup_timeout: int
    room_timeout: int = 86400
    api_server_timeout: int = 3600
    missing_object_timeout: int = 60
    max_runtime: int
    xcom: str = "message"
    finish: str = "triggerer"
    orphans: str = "report"


class Pool(ContractModel):
    """The Airflow pool of the team's tasks; with 0 slots no task starts."""

    name: str
    slots: int


class Team(ContractModel):
    """One team; ``role`` is the Airflow role of its members, empty if Airflow has none."""

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
    pool: Pool
    role: str

    def size(self, name: str | None = None) -> Size:
        """Get the size of this name; by default the team's default size.

        Raises:
            TeamError: the team does not have the size.
        """
        wanted = name or self.default_size
        if wanted not in self.sizes:
            raise TeamError(*describe_unknown_name("size", wanted, self.sizes))
        return self.sizes[wanted]
