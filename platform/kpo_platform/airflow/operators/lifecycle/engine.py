"""The engine that runs a task's pod: this package ("team"), or the stock operator ("stock")."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, wraps
from typing import Any, TypeVar

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

_Operator = TypeVar("_Operator", bound=type[KubernetesPodOperator])


def switch_engine(operator: _Operator) -> _Operator:
    """Decorate a class: each of its methods that overrides a stock one yields to it if ``engine="stock"``.

    As every override is switched, the stock operator then runs the pod as if the class had none.
    """
    for name, member in list(vars(operator).items()):
        if name.startswith("__") or not hasattr(KubernetesPodOperator, name):
            continue
        if isinstance(member, cached_property):
            member.func = _choose_property(operator, name, member.func)
        elif callable(member):
            setattr(operator, name, _choose_method(operator, name, member))
    return operator


def _choose_method(operator: type, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.engine == "stock":
            return getattr(super(operator, self), name)(*args, **kwargs)
        return method(self, *args, **kwargs)

    return run


def _choose_property(operator: type, name: str, read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @wraps(read)
    def run(self: Any) -> Any:
        return getattr(super(operator, self), name) if self.engine == "stock" else read(self)

    return run
