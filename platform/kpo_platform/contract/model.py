"""Model of the whole contract."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from kpo_platform.contract.isolation import Isolation
from kpo_platform.contract.team import ContractModel, Team
from kpo_platform.errors import TeamError, describe_unknown_name


class Service(ContractModel):
    """A Service in the namespace of the release; ``path`` is its URL prefix, without a trailing slash."""

    name: str
    port: int
    path: str = ""


class ServiceAccountRef(ContractModel):
    """A service account in any namespace of the cluster."""

    namespace: str
    name: str


class Airflow(ContractModel):
    """The Airflow of this release: its API, Secrets and service accounts.

    With ``shared_logs`` Airflow shows the logs of all components: on one volume, or in a remote store that it lists.
    """

    api_service: Service
    admin_secret: str
    connections_secret: str
    service_accounts: tuple[ServiceAccountRef, ...]
    shared_logs: bool = False


class Release(ContractModel):
    """The Helm release that published the contract."""

    name: str
    namespace: str


class XComSidecar(ContractModel):
    """The container that the stock operator adds to fetch an XCom."""

    image: str
    resources: dict[str, Any]
    security_context: dict[str, Any]


class Contract(ContractModel):
    """The whole contract, validated."""

    version: int
    chart_version: str
    release: Release
    airflow: Airflow
    xcom_sidecar: XComSidecar
    label_policy: dict[str, str]
    gpu_resource: str
    pod_link: str
    rules: dict[str, tuple[dict[str, Any], ...]]
    pod_templates: dict[str, dict[str, Any]]
    sidecars: dict[str, dict[str, Any]]
    isolation: Isolation = Isolation()
    teams: dict[str, Team] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _merge_team_defaults(cls, content: Any) -> Any:
        """Add the common fields of all teams to each team; a team's own field replaces the common one."""
        match content:
            case {"teamDefaults": dict(common), "teams": dict(teams)}:
                merged = {name: {**common, **own} if isinstance(own, dict) else own for name, own in teams.items()}
                return {**content, "teams": merged}
        return content

    def team(self, name: str) -> Team:
        """Get the team of this name.

        Raises:
            TeamError: the contract does not have the team; the message suggests the most similar name.
        """
        if name not in self.teams:
            raise TeamError(*describe_unknown_name("team", name, self.teams))
        return self.teams[name]
