"""The engine that runs a task's pod: this package ("team"), or the stock operator ("stock")."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

UNUSED = (
    *("execute_sync", "execute_async", "find_pod", "process_duplicate_label_pods", "log_matching_pod"),
    *("await_init_containers_completion", "await_pod_start", "await_pod_completion", "is_istio_enabled"),
    *("kill_istio_sidecar", "patch_already_checked", "post_complete_action", "cleanup", "process_pod_deletion"),
)
"""Stock methods that the run of a pod by this package does not call, although a subclass may override them."""

_Operator = TypeVar("_Operator", bound=type[KubernetesPodOperator])


def switch_engine(operator: _Operator) -> _Operator:
    """Decorate a class: each of its methods that overrides a stock one yields to it if ``engine="stock"``."""
    for name, member in list(vars(operator).items()):
        if name.startswith("__") or not hasattr(KubernetesPodOperator, name):
            continue
        if isinstance(member, cached_property):
            member.func = _choose(operator, name, member.func, is_property=True)
        elif callable(member):
            setattr(operator, name, _choose(operator, name, member))
    return operator


def warn_of_unused_overrides(operator: Any) -> None:
    """Log the methods of an author's subclass that are not called."""
    kind = type(operator)
    unused = [name for name in UNUSED if getattr(kind, name, None) is not getattr(KubernetesPodOperator, name, None)]
    if unused:
        operator.log.warning(
            '%s overrides %s, which is not called in the run of a pod. Use callbacks, or set engine="stock".',
            *(kind.__name__, ", ".join(unused)),
        )


def _choose(operator: type, name: str, own: Callable[..., Any], *, is_property: bool = False) -> Callable[..., Any]:
    @wraps(own)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.engine != "stock":
            return own(self, *args, **kwargs)
        stock = getattr(super(operator, self), name)
        return stock if is_property else stock(*args, **kwargs)

    return run
