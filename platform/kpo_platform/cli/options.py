"""Options that several commands share."""

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
from kpo_platform.kube import BOOTSTRAP_ROLES, SECRET, Kube, read_contract


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

    def open(self, roles: str = BOOTSTRAP_ROLES) -> tuple[Kube, Contract]:
        """The cluster, and the contract of the release.

        Args:
            roles: how the names of the roles under rbac/ begin that the command needs; errors name them.

        Raises:
            ClusterError: the cluster cannot be reached or read.
            ContractError: there is no contract that this package reads.
        """
        kube = self.connect()
        kube.role_prefix = roles
        return kube, read_contract(kube, self.namespace)

    def connect(self) -> Kube:
        """The cluster alone; nothing is asked yet.

        Raises:
            ClusterError: there is no way to it.
        """
        return Kube.connect(self.kubeconfig, self.context, self.timeout)


def cluster_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name a cluster; it gets them as one ``cluster``."""
    return cluster_options_for(300)(command)


def cluster_options_for(seconds: int) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """The same for a command that may take so many seconds unless its user says otherwise."""
    options = (
        click.option(
            "--kubeconfig",
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="Kubeconfig file.  [default: KUBECONFIG, then ~/.kube/config, then the pod's service account]",
        ),
        click.option("--context", help="Context of the kubeconfig.  [default: its current one]"),
        click.option("-n", "--namespace", default="airflow", show_default=True, help="Namespace of the release."),
        click.option(
            "--timeout",
            type=click.FloatRange(min=1),
            default=seconds,
            show_default=True,
            help="Seconds that the command may take.",
        ),
    )

    def decorate(command: Callable[..., int]) -> Callable[..., int]:
        @wraps(command)
        def wrapped(
            *, kubeconfig: Path | None, context: str | None, namespace: str, timeout: float, **rest: Any
        ) -> int:
            file = str(kubeconfig) if kubeconfig else None
            return command(cluster=Cluster(file, context, namespace, timeout), **rest)

        return reduce(lambda made, option: option(made), reversed(options), wrapped)

    return decorate


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
        target = TargetCluster(target_kubeconfig, target_context, target_account) if target_kubeconfig else None
        return command(target=target, **rest)

    return wrapped


@dataclass(frozen=True)
class Registry:
    """Where the sign-in for the teams' registries comes from.

    Attributes:
        config: a configuration of docker or podman, or ``-`` for standard input.
        secret: a Secret of the cluster that has it already, as ``NAMESPACE/NAME``.
        username: a user, instead of a configuration.
        variable: the environment variable with the user's password; without one it is asked for.
    """

    config: str | None
    secret: str | None
    username: str | None
    variable: str | None

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is read.

        Raises:
            UsageError: the options do not go together, or there is nobody to ask and nothing to read.
        """
        ways = {"username": self.username, "config": self.config, "secret": self.secret}
        given = [f"--registry-{name}" for name, value in ways.items() if value]
        if len(given) > 1:
            raise click.UsageError(f"{' and '.join(given)} are several ways to sign in: give one.")
        if self.secret and not re.fullmatch(r"[^/]+/[^/]+", self.secret):
            raise click.UsageError(f"--registry-secret is {self.secret!r}; expected such as team-alpha/regcred.")
        if self.variable and not self.username:
            raise click.UsageError("--registry-password-env needs --registry-username.")
        if self.variable and not os.environ.get(self.variable):
            raise click.UsageError(f"There is no password in the environment variable {self.variable}.")
        if self.username and not self.variable and not sys.stdin.isatty():
            raise click.UsageError(
                f"There is no terminal to ask for {self.username}'s password of the registry: "
                "name a variable that has it with --registry-password-env."
            )

    def find(self, hosts: Iterable[str], kube: Kube) -> docker_config.RegistryCredentials:
        """The sign-ins for some hosts; asks for a password where none is named.

        Args:
            hosts: the registries' hosts.
            kube: the cluster that has the Secret, where one is named.

        Raises:
            BootstrapError: a configuration cannot be read, or one user is given for several registries.
            ClusterError: the Secret cannot be read.
        """
        if self.secret:
            namespace, _, name = self.secret.partition("/")
            return docker_config.read_credentials(hosts, self.secret, kube.get(SECRET, name, namespace), kube.deadline)
        if self.username:
            return docker_config.use_password(hosts, self.username, lambda host: self._password(host, kube))
        return docker_config.find_credentials(hosts, self.config, sys.stdin, kube.deadline)

    def _password(self, host: str, kube: Kube) -> str:
        if self.variable:
            return os.environ[self.variable]
        with kube.deadline.pause():
            return str(click.prompt(f"Password of {self.username} for {host}", hide_input=True, err=True))


def registry_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that name sign-ins for registries; it gets them as one ``registry``."""

    @click.option(
        "--registry-config",
        metavar="FILE|-",
        help="Registry sign-ins, as docker login writes them; - reads standard input."
        "  [default: the usual files of docker and podman]",
    )
    @click.option(
        "--registry-secret",
        metavar="NAMESPACE/NAME",
        help="Instead: a Secret of the cluster that has the sign-ins already.",
    )
    @click.option(
        "--registry-username",
        metavar="NAME",
        help="Instead: the user of the teams' one registry, whose password is asked for.",
    )
    @click.option(
        "--registry-password-env",
        metavar="VARIABLE",
        help="The environment variable with that user's password, so that nobody is asked.",
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
    help="Form of the result.",
)
