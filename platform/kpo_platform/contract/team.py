"""A team as the contract has it: every default filled in, every name spelled out."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from kpo_platform.errors import TeamError, describe_unknown_name


class ContractModel(BaseModel):
    """A part of the contract: frozen, read from camelCase keys."""

    # Unknown keys pass: a newer chart may add a field within one contract version.
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, frozen=True, extra="ignore")


class Size(ContractModel):
    """Resources of the base container, as Kubernetes quantities; requests and limits are the same."""

    cpu: str
    memory: str
    gpu: int
    ephemeral_storage: str


class Owner(ContractModel):
    """Who may see and stop the team's pods in Kubernetes; the kind is ``Group`` or ``User``."""

    kind: str
    name: str


class Limits(ContractModel):
    """What one container may use, as in a LimitRange: resource to quantity."""

    default: dict[str, str]
    default_request: dict[str, str]
    max: dict[str, str]


class Scheduling(ContractModel):
    """Where the team's pods run, as in a pod; an empty priority class means the cluster's default."""

    node_selector: dict[str, str]
    tolerations: tuple[dict[str, Any], ...]
    affinity: dict[str, Any]
    priority_class_name: str


class Network(ContractModel):
    """Whom the team's pods may talk to besides the cluster's DNS: rules as in a NetworkPolicy."""

    egress: tuple[dict[str, Any], ...]
    ingress: tuple[dict[str, Any], ...]


class Rights(ContractModel):
    """How Airflow's rights in the team's namespace differ from those that all teams give it."""

    exec: bool
    extra_rules: tuple[dict[str, Any], ...]


class Cleanup(ContractModel):
    """How many seconds after their end pods are removed; 0 means never."""

    max_age: int


class TeamServiceAccount(ContractModel):
    """The account under which a team's pods run."""

    name: str
    mount_token: bool
    annotations: dict[str, str]


class Images(ContractModel):
    """How a team's image names are read, and which ones its pods may run.

    ``allow`` holds patterns (``fnmatch``) for the whole name after the prefix is applied; none means any image.
    ``pin`` is ``none``, ``tag`` (a name without a tag, or with ``latest``, is refused) or ``digest``.
    """

    registry_prefix: str
    allow: tuple[str, ...]
    pin: str


class Registry(ContractModel):
    """The team's private registry; an empty host means there is none."""

    host: str
    pull_secret: str


class Volume(ContractModel):
    """A claim of the team; its PersistentVolumeClaim bears the volume's name."""

    name: str
    size: str
    access_mode: str
    storage_class: str | None
    mount_path: str
    read_only: bool


class ConnectionRef(ContractModel):
    """The Airflow connection that the team's tasks use.

    ``mode`` is how it reaches Kubernetes: ``inCluster``, ``kubeconfig`` or ``remote``. ``via`` is who gives it to
    Airflow: ``api``, over its REST API, or ``env``, in the environment of its pods out of a Secret.
    """

    id: str
    mode: str
    via: str


class Dags(ContractModel):
    """The git repository of the team's DAGs; an empty repo means there is none.

    ``credentials_secret`` is a Secret in the release's namespace; empty means the repository is public. The refresh
    interval is in seconds.
    """

    repo: str
    ref: str
    subdir: str
    credentials_secret: str
    refresh_interval: int


class Policy(ContractModel):
    """How the team's tasks run unless a task says otherwise. Times are in seconds; a run time of 0 has no end.

    ``on_failure`` is ``keep``, ``delete`` or empty; empty means that ``on_finish`` decides.
    """

    on_finish: str
    on_failure: str
    deferrable: bool
    get_logs: bool
    startup_timeout: int
    max_runtime: int


class Pool(ContractModel):
    """The Airflow pool in which the team's tasks run; with 0 slots none of them starts."""

    name: str
    slots: int


class Team(ContractModel):
    """One team, every default filled in; the role is that of its people in Airflow, empty where Airflow has none."""

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
        """The size of this name, or the team's default size.

        Raises:
            TeamError: the team has no such size.
        """
        wanted = name or self.default_size
        if wanted not in self.sizes:
            raise TeamError(*describe_unknown_name("size", wanted, self.sizes))
        return self.sizes[wanted]
