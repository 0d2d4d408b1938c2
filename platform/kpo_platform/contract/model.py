"""The whole contract: the platform, and every team."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from kpo_platform.contract.team import ContractModel, Team
from kpo_platform.errors import TeamError, describe_unknown_name


class Service(ContractModel):
    """A Service in the release's namespace, and the path below which it answers, without a slash at its end."""

    name: str
    port: int
    path: str = ""


class ServiceAccountRef(ContractModel):
    """A service account somewhere in the cluster."""

    namespace: str
    name: str


class Airflow(ContractModel):
    """The Airflow of this release, as far as the tools have to reach it."""

    api_service: Service
    admin_secret: str
    connections_secret: str
    service_accounts: tuple[ServiceAccountRef, ...]


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
    """Everything the chart published, checked."""

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
    teams: dict[str, Team] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _spread_what_teams_have_in_common(cls, content: Any) -> Any:
        """Give every team the fields that the chart writes once for all; a team's own come whole, not merged."""
        match content:
            case {"teamDefaults": dict(common), "teams": dict(teams)}:
                whole = {name: {**common, **own} if isinstance(own, dict) else own for name, own in teams.items()}
                return {**content, "teams": whole}
        return content

    def team(self, name: str) -> Team:
        """The team of this name.

        Raises:
            TeamError: the contract has no such team; the message names the nearest one.
        """
        if name not in self.teams:
            raise TeamError(*describe_unknown_name("team", name, self.teams))
        return self.teams[name]
