"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import click

from kpo_platform.bootstrap.outside import Target
from kpo_platform.contract import Contract
from kpo_platform.kube import Kube, read_contract


@dataclass(frozen=True)
class Cluster:
    """The cluster and release that a command is about.

    Attributes:
        kubeconfig: the kubeconfig, if one is named.
        context: its context, if one is named.
        namespace: the release's namespace.
        timeout: seconds that the command may take.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str
    timeout: float

    def open(self) -> tuple[Kube, Contract]:
        """The cluster, and the contract of the release.

        Raises:
            ClusterError: the cluster cannot be reached or read.
            ContractError: there is no contract that this package reads.
        """
        kube = self.connect()
        return kube, read_contract(kube, self.namespace)

    def connect(self) -> Kube:
        """The cluster alone; nothing is asked yet.

        Raises:
            ClusterError: there is no way to it.
        """
        return Kube.connect(self.kubeconfig, self.context, self.timeout)


def cluster_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name a cluster; it gets them as one ``cluster``."""

    @click.option(
        "--kubeconfig",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Kubeconfig file.  [default: KUBECONFIG, then ~/.kube/config, then the pod's service account]",
    )
    @click.option("--context", help="Context of the kubeconfig.  [default: its current one]")
    @click.option("-n", "--namespace", default="airflow", show_default=True, help="Namespace of the release.")
    @click.option(
        "--timeout",
        type=click.FloatRange(min=1),
        default=300,
        show_default=True,
        help="Seconds that the command may take.",
    )
    @wraps(command)
    def wrapped(*, kubeconfig: Path | None, context: str | None, namespace: str, timeout: float, **rest: Any) -> int:
        file = str(kubeconfig) if kubeconfig else None
        return command(cluster=Cluster(file, context, namespace, timeout), **rest)

    return wrapped


def target_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name the cluster of connections that lead out; it gets them as ``target``."""

    @click.option(
        "--target-kubeconfig",
        type=click.Path(exists=True, dir_okay=False),
        help="Kubeconfig of the cluster to which connections of mode kubeconfig or remote lead.",
    )
    @click.option("--target-context", metavar="NAME", help="Context of that file.  [default: its current one]")
    @click.option(
        "--target-account",
        metavar="NAMESPACE/NAME",
        help="For mode remote: the service account there that may start pods, and whose token Airflow gets.",
    )
    @wraps(command)
    def wrapped(
        *, target_kubeconfig: str | None, target_context: str | None, target_account: str | None, **rest: Any
    ) -> int:
        if target_kubeconfig is None and (target_context or target_account):
            raise click.UsageError("--target-context and --target-account need --target-kubeconfig.")
        target = Target(target_kubeconfig, target_context, target_account) if target_kubeconfig else None
        return command(target=target, **rest)

    return wrapped


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of the result.",
)
