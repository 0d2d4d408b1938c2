"""The way to a cluster that Airflow does not run in: by a kubeconfig, or by a token obtained there."""

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
"""How long a token is asked for; an API server may be set to give less. Half of its life it is used as it is."""

RECORD_KEY = "kpo_platform"
"""The key in a connection's extra under which stands, readable, where it leads, as whom and until when."""

UNVERIFIED_USER = "a user that could not be asked for from here"
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class TargetCluster:
    """The cluster that a person named for connections that lead out.

    Attributes:
        kubeconfig: the file.
        context: its context; without one its current one.
        account: for mode ``remote`` the service account there, as ``NAMESPACE/NAME``.
    """

    kubeconfig: str
    context: str | None = None
    account: str | None = None

    def read_context(self) -> KubeconfigContext:
        """The context that is meant.

        Raises:
            BootstrapError: it cannot be read.
        """
        return kubeconfig.read_context(self.kubeconfig, self.context)


@dataclass(frozen=True)
class TargetAccess:
    """What a connection needs to lead out.

    Attributes:
        record: what may be shown of it.
        kube_config: the kubeconfig for Airflow's pods.
    """

    record: Mapping[str, str]
    kube_config: Mapping[str, Any] = field(repr=False)


def read_kubeconfig_access(target: TargetCluster, timeout: float) -> TargetAccess:
    """The way by the person's own token or client certificate, which is tried.

    Args:
        target: the cluster.
        timeout: seconds to try.

    Raises:
        BootstrapError: the kubeconfig is not fit for pods.
        ClusterError: the API server does not know its user (any more).
    """
    context = target.read_context()
    config = context.build_standalone()
    try:
        user = Kube.from_kubeconfig(config, timeout).read_username()
    except Unreachable:
        user = UNVERIFIED_USER  # its network may be open to Airflow alone
    record = {"server": context.server, "user": user, "fingerprint": kubeconfig.compute_fingerprint(config)}
    return TargetAccess(record, config)


def get_account_user(target: TargetCluster) -> str:
    """The name under which the service account is known to the cluster.

    Raises:
        BootstrapError: none was named.
    """
    namespace, _, name = (target.account or "").partition("/")
    if not namespace or not name:
        raise BootstrapError(
            "A connection of mode remote needs --target-account NAMESPACE/NAME, the service account in the target "
            f"cluster that may start pods there; given was {target.account or 'none'}."
        )
    return f"system:serviceaccount:{namespace}:{name}"


def request_token_access(target: TargetCluster, now: datetime, timeout: float, *, dry_run: bool) -> TargetAccess:
    """The way by a fresh token of a service account in the target cluster.

    Args:
        target: the cluster, with the account.
        now: the time.
        timeout: seconds that it may take.
        dry_run: let the API server only say whether it would.

    Raises:
        BootstrapError: no account was named, or the kubeconfig cannot be read.
        ClusterError: the token was refused.
    """
    user = get_account_user(target)
    namespace, name = user.split(":")[2:]
    context = target.read_context()
    kube = Kube.connect(target.kubeconfig, target.context, timeout)
    answer = kube.create_token(name, namespace, TOKEN_DAYS * 24 * 3600, dry_run=dry_run)
    ends = datetime.strptime(answer["expirationTimestamp"], _TIME_FORMAT).replace(tzinfo=UTC)
    record = {
        "server": context.server,
        "user": user,
        "expires": ends.strftime(_TIME_FORMAT),
        "renewAfter": (now + (ends - now) / 2).strftime(_TIME_FORMAT),
    }
    return TargetAccess(record, kubeconfig.build_kubeconfig(context.cluster, {"token": answer["token"]}))


def is_past(record: Mapping[str, Any], key: str, now: datetime) -> bool:
    """Whether a moment of a record has come; one that cannot be read has."""
    try:
        return datetime.strptime(str(record.get(key)), _TIME_FORMAT).replace(tzinfo=UTC) - now <= timedelta()
    except ValueError:
        return True
