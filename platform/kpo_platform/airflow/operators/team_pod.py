"""TeamPodOperator: the KubernetesPodOperator with a team's agreements filled in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import models as k8s

from kpo_platform import contract
from kpo_platform.airflow.exceptions import RefusedArguments, RefusedPod
from kpo_platform.airflow.operators.arguments.pod_fields import (
    build_argument_layer,
    check_argument_fields,
    hide_pod_arguments,
    select_post_init_arguments,
)
from kpo_platform.airflow.operators.arguments.precheck import precheck_pod
from kpo_platform.airflow.operators.arguments.serialize import (
    is_unresolved,
    read_pod_file,
    serialize,
    serialize_pod,
    stringify_values,
)
from kpo_platform.airflow.operators.arguments.template_fields import NonEmptyTemplateFields
from kpo_platform.airflow.operators.base_operator import BasePodOperator
from kpo_platform.airflow.operators.lifecycle.task_run import read_task_run
from kpo_platform.airflow.operators.pod_link import build_links
from kpo_platform.airflow.provider_version import is_supported, warn_if_unsupported
from kpo_platform.airflow.team_lookup import find_team
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import PodError
from kpo_platform.finding import Refusal, raise_refusals
from kpo_platform.pod.compose import BASE, PodRequest, compose
from kpo_platform.pod.identity import add_run_identity
from kpo_platform.pod.merge import Json, merge
from kpo_platform.pod.rules.all_rules import check_pod
from kpo_platform.pod.rules.argument_names import KNOWN_ARGUMENTS, check_argument_names, check_arguments
from kpo_platform.pod.rules.ownership import check_connection, check_trigger_kwargs

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

_START_CHECK_SECONDS = 1  # the stock 5 s make the shortest task last 5 s

_TEMPLATED_PODS = ("pod_override", "pod_template_dict")
"""Pods that Jinja may have given another shape than they were written in."""


class TeamPodOperator(BasePodOperator):
    """Run a container in the team's namespace, as the team's service account, within the team's limits.

    Everything the stock operator takes is taken here too and means the same; what the author leaves out comes
    from the team. Namespace, service account and token are the team's.

    Args:
        team: the team's name in the chart's values; may stand in ``default_args``. By default the team in whose
            bundle or folder the DAG lies; another one is refused there.
        size: one of the team's sizes; by default the team's ``defaultSize``.
        template: one of the platform's pod templates; by default the team's.
        sidecars: names of the platform's sidecars, in place of the team's.
        pod_override: what no argument can say, as a v1 Pod dictionary or a V1Pod; merged by name, wins over
            every argument. Templated.
        xcom: whether the task has a result, ``/airflow/xcom/return.json``; another name of ``do_xcom_push``.
        **stock: any argument of KubernetesPodOperator or BaseOperator.

    Raises:
        TeamError: team, size, template or sidecar is not in the contract, or no team is known.
        PodError: an argument or the pod that they describe is refused; every reason, one a line.
        ContractError: the contract cannot be read.
    """

    # What the team decides is no text that Jinja may change, and need not be serialized with every task.
    template_fields: Sequence[str] = NonEmptyTemplateFields(  # type: ignore[assignment]
        [
            *(
                name
                for name in KubernetesPodOperator.template_fields
                if name not in ("namespace", "base_container_name")
            ),
            "pod_override",
        ]
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **KubernetesPodOperator.template_fields_renderers,
        "pod_override": "py",
    }

    def __init__(
        self,
        *,
        team: str | None = None,
        size: str | None = None,
        template: str | None = None,
        sidecars: Sequence[str] | None = None,
        pod_override: Json | k8s.V1Pod | None = None,
        xcom: bool | None = None,
        **stock: Any,
    ) -> None:
        warn_if_unsupported()
        whole = contract.load()
        own = {"size": size, "template": template, "sidecars": sidecars, "pod_override": pod_override, "xcom": xcom}
        written = {name: value for name, value in {**own, **stock}.items() if value is not None}
        inherited = stock.get("default_args") or {}
        self.team = find_team(team, stock.get("dag"), whole)
        self._refuse(_argument_refusals(written, inherited, self.team, whole))
        super().__init__(**_stock_arguments({**inherited, **stock}, stock, xcom, whole.team(self.team)))
        for name, value in _held_back({**inherited, **stock}).items():
            setattr(self, name, value)
        self.labels = _label_texts(self.labels)
        self.operator_extra_links = build_links(whole)
        self.size = size
        self.template = template
        self.sidecars = sidecars
        self.pod_override = serialize(pod_override)
        self._given = frozenset({**inherited, **written})
        self.on_failure = "" if "on_finish_action" in self._given else whole.team(self.team).policy.on_failure
        self._refuse([*self._beside_the_pod(whole), *self._known_of_the_pod(whole)])

    @classmethod
    def partial(cls, **arguments: Any) -> OperatorPartial:
        """The arguments that all tasks of a mapped one share; `expand` gives the others.

        Raises:
            PodError: a name is no argument; Airflow would say so of a subclass, and without the right name.
        """
        if cls is TeamPodOperator and is_supported():
            unknown = {name: value for name, value in arguments.items() if name not in KNOWN_ARGUMENTS}
            raise_refusals(check_argument_names(unknown))
        return super().partial(**arguments)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """The pod of this task: the team's layers and the author's, then what the stock operator adds.

        The stock operator gives the name, mounts ``secrets``, adds the XCom sidecar and its own labels, and calls
        ``pod_mutation_hook``.

        Raises:
            RefusedPod: with its values rendered, the pod is refused.
        """
        whole = contract.load()
        try:
            self.labels = _label_texts(self.labels)
            raise_refusals(check_argument_fields({name: serialize(getattr(self, name)) for name in _TEMPLATED_PODS}))
            pod = (self._composed_pod if is_supported() else self._stock_pod)(whole, context, dry_run)
            raise_refusals(check_pod(serialize_pod(pod), self.team, whole.team(self.team), whole))
        except PodError as error:
            raise RefusedPod(str(error)) from None
        return pod

    def _known_of_the_pod(self, whole: Contract) -> list[Refusal]:
        if not is_supported():
            return []
        return precheck_pod(whole, self._request(), complete=not is_unresolved(self.pod_template_file))

    def _refuse(self, found: list[Refusal]) -> None:
        """Refuse arguments; a mapped task's are known in the run only, which is not tried again then."""
        if found and getattr(self, "_BaseOperator__from_mapped", False):
            raise RefusedArguments(found)
        raise_refusals(found)

    def _composed_pod(self, whole: Contract, context: Context | None, dry_run: bool) -> k8s.V1Pod:
        composed = self._judged(self._request(), whole, context)
        with hide_pod_arguments(self):
            self.full_pod_spec = PodGenerator.deserialize_model_dict(composed)
            base = composed["spec"]["containers"][0]
            self.termination_message_policy = base.get("terminationMessagePolicy", "File")
            return super().build_pod_request_obj(context, dry_run=dry_run)

    def _stock_pod(self, whole: Contract, context: Context | None, dry_run: bool) -> k8s.V1Pod:
        """The pod as a stock operator of unknown version merges its arguments over the team's layers."""
        image = {"spec": {"containers": [{"name": BASE, "image": serialize(self.image)}]}} if self.image else {}
        before = self.full_pod_spec
        sidecars = None if self.sidecars is None else tuple(self.sidecars)
        asked = PodRequest(
            self.team, self.size, self.template, sidecars, arguments=image, full_pod_spec=serialize_pod(before)
        )
        composed = self._judged(asked, whole, context)
        try:
            self.full_pod_spec = PodGenerator.deserialize_model_dict(composed)
            pod = serialize_pod(super().build_pod_request_obj(context, dry_run=dry_run))
        finally:
            self.full_pod_spec = before
        return PodGenerator.deserialize_model_dict(merge(pod, serialize_pod(self.pod_override)))

    def _judged(self, request: PodRequest, whole: Contract, context: Context | None) -> Json:
        """The team's pod for a request; judged here too, because the stock operator sets the namespace again."""
        team = whole.team(self.team)
        pod = compose(whole, request)
        if context is not None:
            pod = add_run_identity(pod, self.team, team, read_task_run(context))
        in_pod = [*request.check_duplicates(), *check_pod(pod, self.team, team, whole)]
        raise_refusals([*self._beside_the_pod(whole), *in_pod])
        return pod

    def _beside_the_pod(self, whole: Contract) -> list[Refusal]:
        return [
            *check_connection(self.kubernetes_conn_id, self.team, whole),
            *check_trigger_kwargs(self.trigger_kwargs),
        ]

    def _request(self) -> PodRequest:
        return PodRequest(
            team=self.team,
            size=self.size,
            template=self.template,
            sidecars=None if self.sidecars is None else tuple(self.sidecars),
            own_template=self._stock_template(),
            arguments=build_argument_layer(self, self._given),
            full_pod_spec=serialize_pod(self.full_pod_spec),
            pod_override=serialize_pod(self.pod_override),
        )

    def _stock_template(self) -> Json:
        """The author's own pod_template_file or pod_template_dict, which lies beneath the other arguments."""
        if not self.pod_template_file:
            return serialize_pod(self.pod_template_dict)
        return {} if is_unresolved(self.pod_template_file) else read_pod_file(serialize(self.pod_template_file))


def _label_texts(labels: Any) -> Any:
    """Labels as the reattach selector of the stock operator needs them; Jinja or another task may give them later."""
    if not isinstance(labels, dict):
        return labels
    return {key: "" if value is None else value for key, value in stringify_values(labels).items()}


def _argument_refusals(
    written: Mapping[str, Any], inherited: Mapping[str, Any], name: str, whole: Contract
) -> list[Refusal]:
    found = check_arguments(written, inherited, name, whole.team(name))
    fields = check_argument_fields({**inherited, **written})
    if is_supported():
        return [*found, *fields]
    return [reason for reason in found if reason.rule != "argument"] + list(fields)


def _held_back(given: Mapping[str, Any]) -> dict[str, Any]:
    """What is set once the operator is made; nothing, where the operator is one that nobody has tried."""
    return select_post_init_arguments(given) if is_supported() else {}


def _stock_arguments(given: Mapping[str, Any], stock: Mapping[str, Any], xcom: bool | None, team: Team) -> Json:
    """The arguments for the stock operator: the author's, the team's where the author says nothing."""
    defaults = {name: value for name, value in _team_defaults(team).items() if name not in given}
    held_back = dict.fromkeys(_held_back(given))
    result = {} if xcom is None else {"do_xcom_push": xcom}
    locked = {
        "namespace": team.namespace,
        "service_account_name": None,
        "automount_service_account_token": None,
        "base_container_name": BASE,
    }
    return {**defaults, **stock, **held_back, **result, **locked}


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
    }
