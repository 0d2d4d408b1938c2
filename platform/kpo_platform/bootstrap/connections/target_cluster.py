"""Get access to another cluster, with a kubeconfig or a new token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from kpo_platform.bootstrap.connections import kubeconfig
from kpo_platform.bootstrap.connections.kubeconfig import KubeconfigContext
from kpo_platform.errors import BootstrapError, Unreachable
from kpo_platform.kube import Kube

TOKEN_DAYS = 30
"""The requested lifetime of a token. An API server may grant less. A token is renewed after half of its lifetime."""

RECORD_KEY = "kpo_platform"
"""The key in a connection's extra under which bootstrap records server, user and expiry without secrets."""

UNVERIFIED_USER = "an unverified user"
"""The recorded user if the cluster could not be reached to ask for the user name."""

_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class TargetCluster:
    """The cluster for connections to another cluster, as the user named it.

    Attributes:
        kubeconfig: the path of the kubeconfig.
        context: its context; by default the current context.
        account: for mode ``remote`` the service account in that cluster, as ``NAMESPACE/NAME``.
    """

    kubeconfig: str
    context: str | None = None
    account: str | None = None

    def read_context(self) -> KubeconfigContext:
        """Read the context of the kubeconfig.

        Raises:
            BootstrapError: the context cannot be read.
        """
        return kubeconfig.read_context(self.kubeconfig, self.context)


@dataclass(frozen=True)
class TargetAccess:
    """Access to another cluster for one connection.

    Attributes:
        record: server, user and expiry or fingerprint; safe to print.
        kube_config: the kubeconfig for Airflow's pods; secret.
    """

    record: Mapping[str, str]
    kube_config: Mapping[str, Any] = field(repr=False)


def read_kubeconfig_access(target: TargetCluster, timeout: float) -> TargetAccess:
    """Get access with the credentials of the kubeconfig, and check them with a request.

    Args:
        target: the cluster.
        timeout: seconds for the request.

    Raises:
        BootstrapError: Airflow's pods cannot use the kubeconfig.
        ClusterError: the API server does not accept the user's credentials, for example because they have expired.
    """
    context = target.read_context()
    config = context.build_standalone()
    try:
        user = Kube.from_kubeconfig(config, timeout).read_username()
    except Unreachable:
        user = UNVERIFIED_USER  # only Airflow may have network access to the cluster
    record = {"server": context.server, "user": user, "fingerprint": kubeconfig.compute_fingerprint(config)}
    return TargetAccess(record, config)


def get_account_user(target: TargetCluster) -> str:
    """Get the user name of the service account in the target cluster.

    Raises:
        BootstrapError: no account was named.
    """
    namespace, _, name = (target.account or "").partition("/")
    if not namespace or not name:
        raise BootstrapError(
            f"Cannot request a token for a connection of mode remote: the account is {target.account or 'not set'}. "
            "Pass --target-account NAMESPACE/NAME, a service account of the target cluster that may start pods there."
        )
    return f"system:serviceaccount:{namespace}:{name}"


def request_token_access(target: TargetCluster, now: datetime, timeout: float, *, dry_run: bool) -> TargetAccess:
    """Get access with a new token of a service account in the target cluster.

    Args:
        target: the cluster and the service account.
        now: the current time.
        timeout: seconds for the request.
        dry_run: whether the API server only checks the request.

    Raises:
        BootstrapError: no account was named, or the kubeconfig cannot be read.
        ClusterError: the API server rejected the request.
    """
    user = get_account_user(target)
    namespace, name = user.split(":")[2:]
    context = target.read_context()
    kube = Kube.connect(target.kubeconfig, target.context, timeout)
    answer = kube.create_token(name, namespace, TOKEN_DAYS * 24 * 3600, dry_run=dry_run)
    expiry = datetime.strptime(answer["expirationTimestamp"], _TIME_FORMAT).replace(tzinfo=UTC)
    record = {
        "server": context.server,
        "user": user,
        "expires": expiry.strftime(_TIME_FORMAT),
        "renewAfter": (now + (expiry - now) / 2).strftime(_TIME_FORMAT),
    }
    return TargetAccess(record, kubeconfig.build_kubeconfig(context.cluster, {"token": answer["token"]}))


def is_past(record: Mapping[str, Any], key: str, now: datetime) -> bool:
    """Whether a time of a record is in the past.

    A time that cannot be parsed counts as past.
    """
    try:
        return datetime.strptime(str(record.get(key)), _TIME_FORMAT).replace(tzinfo=UTC) - now <= timedelta()
    except ValueError:
        return True
