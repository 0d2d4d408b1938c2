"""TeamPodOperator: the KubernetesPodOperator with a team's agreements filled in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import models as k8s

from kpo_platform import contract
from kpo_platform.contract import Team
from kpo_platform.errors import PodError
from kpo_platform.operator.arguments import as_json, as_layer, silenced
from kpo_platform.pod.compose import BASE, PodRequest, compose
from kpo_platform.pod.merge import Json

if TYPE_CHECKING:
    from airflow.sdk import Context

_LOCKED = ("namespace", "service_account_name", "automount_service_account_token", "base_container_name")

_START_CHECK_SECONDS = 1  # the stock 5 s make the shortest task last 5 s


class TeamPodOperator(KubernetesPodOperator):
    """Run a container in the team's namespace, as the team's service account, within the team's limits.

    Everything the stock operator takes is taken here too and means the same; what the author leaves out comes
    from the team. Namespace, service account and token are the team's and cannot be given.

    Args:
        team: the team's name in the chart's values; may stand in ``default_args``.
        size: one of the team's sizes; by default the team's ``defaultSize``.
        template: one of the platform's pod templates; by default the team's.
        sidecars: names of the platform's sidecars, in place of the team's.
        pod_override: what no argument can say, as a v1 Pod dictionary or a V1Pod; merged by name, wins over
            every argument. Templated.
        **stock: any argument of KubernetesPodOperator or BaseOperator.

    Raises:
        TeamError: team, size, template or sidecar is not in the contract.
        PodError: a locked argument was given, or an XCom is wanted where Airflow may not fetch one.
        ContractError: the contract cannot be read.
    """

    template_fields: Sequence[str] = (*KubernetesPodOperator.template_fields, "pod_override")
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **KubernetesPodOperator.template_fields_renderers,
        "pod_override": "py",
    }

    def __init__(
        self,
        *,
        team: str,
        size: str | None = None,
        template: str | None = None,
        sidecars: Sequence[str] | None = None,
        pod_override: Json | k8s.V1Pod | None = None,
        **stock: Any,
    ) -> None:
        given = {**stock.get("default_args", {}), **stock}
        settings = contract.load().team(team)
        _refuse_locked(given, team)
        defaults = {name: value for name, value in _team_defaults(settings).items() if name not in given}
        super().__init__(**{**defaults, **stock, "namespace": settings.namespace, "base_container_name": BASE})
        if self.do_xcom_push and not settings.rbac.exec:
            raise PodError(
                f"do_xcom_push=True needs a command in the pod's sidecar, but team {team!r} has rbac.exec false: "
                "leave it out, or ask the platform team to change the team's values."
            )
        self.team = team
        self.size = size
        self.template = template
        self.sidecars = sidecars
        self.pod_override = pod_override
        self._given = frozenset(given)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """The pod of this task: the team's layers and the author's, then what the stock operator adds.

        The stock operator gives the name, mounts ``secrets``, adds the XCom sidecar and its own labels.
        """
        composed = compose(contract.load(), self._request())
        with silenced(self):
            self.full_pod_spec = PodGenerator.deserialize_model_dict(composed)
            base = composed["spec"]["containers"][0]
            self.termination_message_policy = base.get("terminationMessagePolicy", "File")
            return super().build_pod_request_obj(context, dry_run=dry_run)

    def _request(self) -> PodRequest:
        return PodRequest(
            team=self.team,
            size=self.size,
            template=self.template,
            sidecars=None if self.sidecars is None else tuple(self.sidecars),
            own_template=self._stock_template(),
            arguments=as_layer(self, self._given),
            full_pod_spec=as_json(self.full_pod_spec),
            pod_override=as_json(self.pod_override),
        )

    def _stock_template(self) -> Json:
        """The author's own pod_template_file or pod_template_dict, which lies beneath the other arguments."""
        if self.pod_template_file:
            return as_json(PodGenerator.deserialize_model_file(self.pod_template_file))
        return as_json(self.pod_template_dict)


def _team_defaults(team: Team) -> dict[str, Any]:
    """Arguments of the stock operator that the team decides unless the author does."""
    return {
        "kubernetes_conn_id": team.connection.id,
        "pool": team.pool.name,
        "deferrable": team.policy.deferrable,
        "get_logs": team.policy.get_logs,
        "on_finish_action": team.policy.on_finish,
        "startup_timeout_seconds": team.policy.startup_timeout,
        "startup_check_interval_seconds": _START_CHECK_SECONDS,
        "log_events_on_failure": True,
        "log_pod_spec_on_failure": False,  # it prints the values of the environment
        "termination_message_policy": "FallbackToLogsOnError",
    }


def _refuse_locked(given: dict[str, Any], team: str) -> None:
    for name in _LOCKED:
        if given.get(name) is not None:
            raise PodError(
                f"{name}={given[name]!r} was given, but team {team!r} decides it: "
                "leave it out, or ask the platform team to change the team's values."
            )
