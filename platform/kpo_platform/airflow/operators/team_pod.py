"""TeamPodOperator: a KubernetesPodOperator with a team's defaults, limits and rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from airflow.sdk import get_current_context
from kubernetes.client import models as k8s

from kpo_platform.airflow.exceptions import ArgumentRefusalError, RefusedPod
from kpo_platform.airflow.operators.arguments.pod_fields import (
    build_argument_layer,
    check_argument_fields,
    hide_pod_arguments,
)
from kpo_platform.airflow.operators.arguments.precheck import check_task, precheck_pod
from kpo_platform.airflow.operators.arguments.serialize import (
    is_unresolved,
    read_pod_file,
    serialize,
    serialize_pod,
    stringify_values,
)
from kpo_platform.airflow.operators.arguments.team_defaults import build_stock_arguments, list_post_init_arguments
from kpo_platform.airflow.operators.arguments.template_fields import NonEmptyTemplateFields
from kpo_platform.airflow.operators.base_operator import BasePodOperator
from kpo_platform.airflow.operators.lifecycle.task_run import read_task_run
from kpo_platform.airflow.operators.pod_link import build_links
from kpo_platform.airflow.provider_version import is_supported, warn_if_unsupported
from kpo_platform.airflow.team_lookup import find_team
from kpo_platform.airflow.triggers.finish_policy import allows_triggerer
from kpo_platform.contract import Contract
from kpo_platform.contract import load as load_contract
from kpo_platform.errors import PodError
from kpo_platform.finding import Refusal, raise_refusals
from kpo_platform.pod.compose import BASE, PodRequest, compose
from kpo_platform.pod.identity import add_run_identity
from kpo_platform.pod.merge import Json, merge
from kpo_platform.pod.rules.all_rules import check_pod
from kpo_platform.pod.rules.argument_names import KNOWN_ARGUMENTS, check_argument_names, check_arguments
from kpo_platform.pod.xcom import choose_result_mode

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

_TEMPLATED_PODS = ("pod_override", "pod_template_dict")
"""Pods in arguments; rendering may change their types."""


class TeamPodOperator(BasePodOperator):
    """Run a container in the team's namespace, as the team's service account, within the team's limits.

    Takes every argument of KubernetesPodOperator with the same meaning. Arguments that are left out come from the team.
    Namespace, service account and token are always the team's.

    Args:
        team: the team's name in the chart's values; may be set in ``default_args``. By default the team that owns the
            bundle or folder of the DAG file; another team is refused there.
        size: one of the team's sizes; by default the team's ``defaultSize``.
        template: one of the platform's pod templates; by default the team's.
        sidecars: names of the platform's sidecars, which replace the team's.
        pod_override: pod fields that no argument sets, as a v1 Pod dictionary or a V1Pod. Merged by name; overrides
            every argument. Templated.
        xcom: whether the task has a result in ``/airflow/xcom/return.json``: True (as ``policy.xcom``), ``message`` or
            ``sidecar``; ``do_xcom_push`` is ``sidecar``.
        defer_after: time in seconds that a deferrable task watches its pod in the worker before it defers; 0: defer at
            once. By default the team's ``policy.deferAfter``.
        engine: ``team``, or ``stock`` to let the stock operator's own methods run the team's pod.
        **stock: any argument of KubernetesPodOperator or BaseOperator.

    Raises:
        TeamError: team, size, template or sidecar is not in the contract, or the task has no team.
        PodError: an argument or the pod is refused, with one reason per line.
        ContractError: the contract cannot be read.
    """

    # Namespace and container name are the team's: Jinja must not change them, and Airflow need not serialize them.
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
        xcom: bool | str | None = None,
        defer_after: float | None = None,
        engine: str = "team",
        **stock: Any,
    ) -> None:
        warn_if_unsupported()
        contract = load_contract()
        extra = {"size": size, "template": template, "sidecars": sidecars, "pod_override": pod_override, "xcom": xcom}
        all_arguments = {**extra, "defer_after": defer_after, "engine": engine, **stock}
        set_arguments = {name: value for name, value in all_arguments.items() if value is not None}
        default_args = stock.get("default_args") or {}
        self.team = find_team(team, stock.get("dag"), contract)
        self._raise_refusals(_check_arguments(set_arguments, default_args, self.team, contract))
        super().__init__(**build_stock_arguments({**default_args, **stock}, stock, xcom, contract.team(self.team)))
        for name, value in list_post_init_arguments({**default_args, **stock}).items():
            setattr(self, name, value)
        self.labels = _stringify_labels(self.labels)
        self.engine = engine
        self.operator_extra_links = build_links(contract)
        self.size = size
        self.template = template
        self.sidecars = sidecars
        self.pod_override = serialize(pod_override)
        self.set_names = frozenset({**default_args, **set_arguments})
        policy = contract.team(self.team).policy
        is_stock = engine == "stock" or not is_supported()
        self.result_mode = choose_result_mode(xcom, policy.xcom, has_result=self.do_xcom_push, is_stock=is_stock)
        self.api_server_timeout = policy.api_server_timeout
        self.defer_after = policy.defer_after if defer_after is None else defer_after
        self.can_finish_in_triggerer = allows_triggerer(contract, policy)
        self.on_failure = "" if "on_finish_action" in self.set_names else policy.on_failure
        self._raise_refusals([*check_task(self, self.team, contract), *self._precheck_pod(contract)])

    @classmethod
    def partial(cls, **arguments: Any) -> OperatorPartial:
        """Set the arguments that all tasks of a mapped task share; `expand` sets the others.

        Raises:
            PodError: an argument name is unknown. Airflow's own error would not suggest a similar name.
        """
        if cls is TeamPodOperator and is_supported():
            unknown = {name: value for name, value in arguments.items() if name not in KNOWN_ARGUMENTS}
            raise_refusals(check_argument_names(unknown))
        return super().partial(**arguments)

    def build_pod_request_obj(self, context: Context | None = None, *, dry_run: bool = False) -> k8s.V1Pod:
        """Build the task's pod from the layers of team and author, with the stock operator's additions.

        The stock operator sets the name, mounts ``secrets``, adds the XCom sidecar and its own labels, and calls
        ``pod_mutation_hook``.

        Raises:
            RefusedPod: the pod is refused with its rendered values.
        """
        contract = load_contract()
        try:
            self.labels = _stringify_labels(self.labels)
            raise_refusals(check_argument_fields({name: serialize(getattr(self, name)) for name in _TEMPLATED_PODS}))
            build_pod = self._build_composed_pod if is_supported() else self._build_stock_pod
            pod = build_pod(contract, context, dry_run)
            team, mode = contract.team(self.team), self.result_mode
            raise_refusals(check_pod(serialize_pod(pod), self.team, team, contract, result_mode=mode))
        except PodError as error:
            raise RefusedPod(str(error)) from None
        return pod

    def _precheck_pod(self, contract: Contract) -> list[Refusal]:
        if not is_supported() or self._is_unmapped_to_run():
            return []
        return precheck_pod(contract, self._build_request(), complete=not is_unresolved(self.pod_template_file))

    def _is_unmapped_to_run(self) -> bool:
        """Tell whether Airflow creates this task of a mapped one to run it, and not when the DAG is parsed.

        Its pod is then checked when it is built: a refusal there lets the task take up the pod of a former process.
        """
        if not getattr(self, "_BaseOperator__from_mapped", False):
            return False
        with suppress(RuntimeError):
            return bool(get_current_context())
        return False

    def _raise_refusals(self, refusals: list[Refusal]) -> None:
        """Raise refusals; in the run of a mapped task as an exception that prevents a retry."""
        if refusals and getattr(self, "_BaseOperator__from_mapped", False):
            raise ArgumentRefusalError(refusals)
        raise_refusals(refusals)

    def _build_composed_pod(self, contract: Contract, context: Context | None, dry_run: bool) -> k8s.V1Pod:
        """Compose the pod, and pass it to the stock operator as a full_pod_spec without other pod arguments."""
        composed = self._compose_pod(self._build_request(), contract, context)
        with hide_pod_arguments(self, *(["do_xcom_push"] if self.result_mode == "message" else [])):
            self.full_pod_spec = PodGenerator.deserialize_model_dict(composed)
            base = composed["spec"]["containers"][0]
            self.termination_message_policy = base.get("terminationMessagePolicy", "File")
            return super().build_pod_request_obj(context, dry_run=dry_run)

    def _build_stock_pod(self, contract: Contract, context: Context | None, dry_run: bool) -> k8s.V1Pod:
        """Compose the team's layers only; the stock operator of an untested version merges its arguments."""
        image = {"spec": {"containers": [{"name": BASE, "image": serialize(self.image)}]}} if self.image else {}
        full_pod_spec = self.full_pod_spec
        sidecars = None if self.sidecars is None else tuple(self.sidecars)
        request = PodRequest(
            self.team, self.size, self.template, sidecars, arguments=image, full_pod_spec=serialize_pod(full_pod_spec)
        )
        composed = self._compose_pod(request, contract, context)
        try:
            self.full_pod_spec = PodGenerator.deserialize_model_dict(composed)
            pod = serialize_pod(super().build_pod_request_obj(context, dry_run=dry_run))
        finally:
            self.full_pod_spec = full_pod_spec
        return PodGenerator.deserialize_model_dict(merge(pod, serialize_pod(self.pod_override)))

    def _compose_pod(self, request: PodRequest, contract: Contract, context: Context | None) -> Json:
        """Compose and check the pod of a request, before the stock operator overwrites its namespace."""
        team = contract.team(self.team)
        pod = compose(contract, request)
        if context is not None:
            pod = add_run_identity(pod, self.team, team, read_task_run(context))
        refusals = check_pod(pod, self.team, team, contract, result_mode=request.result_mode)
        pod_refusals = [*request.check_duplicates(), *refusals]
        raise_refusals([*check_task(self, self.team, contract), *pod_refusals])
        return pod

    def _build_request(self) -> PodRequest:
        return PodRequest(
            team=self.team,
            size=self.size,
            template=self.template,
            sidecars=None if self.sidecars is None else tuple(self.sidecars),
            own_template=self._read_own_template(),
            arguments=build_argument_layer(self, self.set_names),
            full_pod_spec=serialize_pod(self.full_pod_spec),
            pod_override=serialize_pod(self.pod_override),
            result_mode=self.result_mode,
        )

    def _read_own_template(self) -> Json:
        """Read the author's pod_template_file or pod_template_dict, which all other arguments override."""
        if not self.pod_template_file:
            return serialize_pod(self.pod_template_dict)
        return {} if is_unresolved(self.pod_template_file) else read_pod_file(serialize(self.pod_template_file))


def _stringify_labels(labels: Any) -> Any:
    """Convert label values to strings for the stock operator's label selector; return unresolved labels unchanged."""
    if not isinstance(labels, dict):
        return labels
    return {key: "" if value is None else value for key, value in stringify_values(labels).items()}


def _check_arguments(
    set_arguments: Mapping[str, Any], default_args: Mapping[str, Any], team_name: str, contract: Contract
) -> list[Refusal]:
    refusals = check_arguments(set_arguments, default_args, team_name, contract.team(team_name))
    if not is_supported():  # an untested provider may have further arguments
        refusals = [refusal for refusal in refusals if refusal.rule != "argument"]
    return [*refusals, *check_argument_fields({**default_args, **set_arguments})]
