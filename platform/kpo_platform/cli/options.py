"""Options shared by several commands."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce, wraps
from pathlib import Path
from typing import Any

import click

from kpo_platform.bootstrap.connections.target_cluster import TargetCluster
from kpo_platform.bootstrap.registry import docker_config
from kpo_platform.contract import Contract
from kpo_platform.kube import BOOTSTRAP_ROLE_PREFIX, SECRET, Kube, read_contract


@dataclass(frozen=True)
class Cluster:
    """The cluster and release of a command.

    Attributes:
        kubeconfig: the kubeconfig; None for the default.
        context: its context; None for the current one.
        namespace: the release's namespace.
        timeout: the command's timeout in seconds.
    """

    kubeconfig: str | None
    context: str | None
    namespace: str
    timeout: float

    def open(self, role_prefix: str = BOOTSTRAP_ROLE_PREFIX) -> tuple[Kube, Contract]:
        """Connect to the cluster and read the release's contract.

        Args:
            role_prefix: the name prefix of the roles under rbac/ that the command needs; errors name them.

        Raises:
            ClusterError: the cluster cannot be reached or read.
            ContractError: there is no contract, or this package cannot read it.
        """
        kube = self.connect()
        kube.role_prefix = role_prefix
        return kube, read_contract(kube, self.namespace)

    def connect(self) -> Kube:
        """Create the client; nothing is sent yet.

        Raises:
            ClusterError: the kubeconfig cannot be used.
        """
        return Kube.connect(self.kubeconfig, self.context, self.timeout)


def cluster_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the cluster options to a command; it gets them as ``cluster``."""
    return cluster_options_for(300)(command)


def cluster_options_for(
    seconds: int, namespace: str = "Namespace of the release."
) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Return ``cluster_options`` with another default timeout, or another help for the namespace."""
    options = (
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Kubeconfig file.  [default: KUBECONFIG, then ~/.kube/config, then the pod's service account]",
        ),
        click.option("--context", metavar="NAME", help="Context of the kubeconfig.  [default: its current context]"),
        click.option("-n", "--namespace", metavar="NAME", default="airflow", show_default=True, help=namespace),
        click.option(
            "--timeout",
            metavar="SECONDS",
            type=click.FloatRange(min=1),
            default=seconds,
            show_default=True,
            help="Timeout of the whole command.",
        ),
    )

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @wraps(command)
        def wrapped(
            *, kubeconfig: Path | None, context: str | None, namespace: str, timeout: float, **rest: Any
        ) -> int:
            file = str(kubeconfig) if kubeconfig else None
            return command(cluster=Cluster(file, context, namespace, timeout), **rest)

        return reduce(lambda decorated, option: option(decorated), reversed(options), wrapped)

    return decorate


def target_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options of the target cluster to a command; it gets them as ``target``."""

    @click.option(
        "--target-kubeconfig",
        type=click.Path(exists=True, dir_okay=False),
        help="Kubeconfig of the target cluster, for connections of mode kubeconfig or remote.",
    )
    @click.option(
        "--target-context", metavar="NAME", help="Context of the target kubeconfig.  [default: its current context]"
    )
    @click.option(
        "--target-account",
        metavar="NAMESPACE/NAME",
        help="Service account in the target cluster that may create pods; Airflow gets its token. For mode remote.",
    )
    @wraps(command)
    def wrapped(
        *, target_kubeconfig: str | None, target_context: str | None, target_account: str | None, **rest: Any
    ) -> int:
        if target_kubeconfig is None and (target_context or target_account):
            raise click.UsageError("--target-context and --target-account require --target-kubeconfig.")
        target = TargetCluster(target_kubeconfig, target_context, target_account) if target_kubeconfig else None
        return command(target=target, **rest)

    return wrapped


@dataclass(frozen=True)
class Registry:
    """The source of the credentials for the teams' registries.

    Attributes:
        config: a configuration file of docker or podman; ``-`` for stdin.
        secret: an existing Secret with the credentials, as ``NAMESPACE/NAME``.
        username: a user, instead of a configuration.
        variable: the environment variable with the user's password; None to prompt.
    """

    config: str | None
    secret: str | None
    username: str | None
    variable: str | None

    def check(self) -> None:
        """Check that the options can be used together.

        Raises:
            UsageError: options exclude each other, or the password is missing and stdin is not a terminal.
        """
        sources = {"username": self.username, "config": self.config, "secret": self.secret}
        options = [f"--registry-{name}" for name, value in sources.items() if value]
        if len(options) > 1:
            raise click.UsageError(f"{' and '.join(options)} exclude each other. Pass only one of them.")
        if self.secret and not re.fullmatch(r"[^/]+/[^/]+", self.secret):
            raise click.UsageError(
                f"--registry-secret is {self.secret!r}. Pass NAMESPACE/NAME, such as team-alpha/regcred."
            )
        if self.variable and not self.username:
            raise click.UsageError("--registry-password-env requires --registry-username.")
        if self.variable and not os.environ.get(self.variable):
            raise click.UsageError(f"Environment variable {self.variable} is not set. Set it to the registry password.")
        if self.username and not self.variable and not sys.stdin.isatty():
            raise click.UsageError(
                f"Cannot prompt for the registry password of {self.username}: stdin is not a terminal. "
                "Pass --registry-password-env."
            )

    def find_credentials(self, hosts: Iterable[str], kube: Kube) -> docker_config.RegistryCredentials:
        """Find the credentials for registries; prompt for a missing password.

        Args:
            hosts: the registries' hosts.
            kube: the cluster with the Secret.

        Raises:
            BootstrapError: a configuration cannot be read, or one user was given for several registries.
            ClusterError: the Secret cannot be read.
        """
        if self.secret:
            namespace, _, name = self.secret.partition("/")
            return docker_config.read_secret_credentials(
                hosts, self.secret, kube.get(SECRET, name, namespace), kube.deadline
            )
        if self.username:
            return docker_config.build_credentials(hosts, self.username, lambda host: self._read_password(host, kube))
        return docker_config.find_credentials(hosts, self.config, sys.stdin, kube.deadline)

    def _read_password(self, host: str, kube: Kube) -> str:
        if self.variable:
            return os.environ[self.variable]
        with kube.deadline.pause():
            return str(click.prompt(f"Password of {self.username} for {host}", hide_input=True, err=True))


def registry_options(command: Callable[..., int]) -> Callable[..., int]:
    """Add the options for registry credentials to a command; it gets them as ``registry``."""

    @click.option(
        "--registry-config",
        metavar="FILE|-",
        help="Registry credentials, as written by docker login; - reads stdin."
        "  [default: the files of docker and podman]",
    )
    @click.option(
        "--registry-secret",
        metavar="NAMESPACE/NAME",
        help="Existing Secret with the registry credentials.",
    )
    @click.option(
        "--registry-username",
        metavar="NAME",
        help="Registry user, if all teams use the same registry; prompts for the password.",
    )
    @click.option(
        "--registry-password-env",
        metavar="VARIABLE",
        help="Environment variable with the password of --registry-username, instead of a prompt.",
    )
    @wraps(command)
    def wrapped(
        *,
        registry_config: str | None,
        registry_secret: str | None,
        registry_username: str | None,
        registry_password_env: str | None,
        **rest: Any,
    ) -> int:
        registry = Registry(registry_config, registry_secret, registry_username, registry_password_env)
        registry.check()
        return command(registry=registry, **rest)

    return wrapped


output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
