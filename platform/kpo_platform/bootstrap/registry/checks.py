"""Check each registry login of a run once, from this machine or else from a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from kpo_platform.bootstrap.model import LiveState, Plan, RegistryLogin
from kpo_platform.bootstrap.registry import login_check, node_check, pull_secret
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.bootstrap.registry.hosts import normalize_host
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Deadline, Kube

HostLogin = tuple[str, RegistryLogin]
"""A registry's host and a login for it."""


@dataclass
class LoginChecks:
    """The login checks of one run and their results.

    Attributes:
        deadline: the deadline for all results.
    """

    deadline: Deadline = field(default_factory=lambda: Deadline(inf))
    _started_checks: dict[HostLogin, Callable[[float], LoginResult]] = field(default_factory=dict, repr=False)
    _results: dict[HostLogin, LoginResult] = field(default_factory=dict, repr=False)

    def start(self, host_logins: Iterable[HostLogin]) -> None:
        """Start checks from this machine, all in parallel, without waiting for results."""
        for host_login in set(host_logins) - self._started_checks.keys():
            self._started_checks[host_login] = login_check.start_check(*host_login)

    def get_result(self, host_login: HostLogin) -> LoginResult:
        """Wait for the result of one check; start the check if necessary."""
        if host_login not in self._results:
            self.start([host_login])
            self._results[host_login] = self._started_checks[host_login](self.deadline.remaining_seconds())
        return self._results[host_login]

    def check_credentials(self, credentials: RegistryCredentials) -> RegistryCredentials:
        """Check the given credentials and add the results to them.

        Raises:
            BootstrapError: a registry rejected a login.
        """
        results = {host: self.get_result((host, login)) for host, login in credentials.logins.items()}
        for host, result in results.items():
            _raise_if_rejected(host, result)
        return replace(credentials, results={host: f"; {describe_result(result)}" for host, result in results.items()})

    def check_live_secrets(self, teams: Iterable[Team], live: LiveState) -> Mapping[HostLogin, LoginResult]:
        """Check the logins in the teams' secrets."""
        host_logins = [host_login for team in teams if (host_login := get_secret_login(team, live))]
        self.start(host_logins)
        return {host_login: self.get_result(host_login) for host_login in host_logins}

    def check_on_nodes(
        self,
        kube: Kube,
        contract: Contract,
        credentials: RegistryCredentials,
        plan: Plan,
        report: Callable[[str], None],
    ) -> None:
        """Check the remaining logins from a node, before they are written.

        These are the logins that this machine could not check and that the plan writes.

        Args:
            kube: the cluster.
            contract: the contract that the chart published.
            credentials: the given credentials.
            plan: the plan.
            report: is called with a description of each check.

        Raises:
            BootstrapError: a registry rejected a login.
        """
        written = {action.target for action in plan.object_writes}
        teams = {name: team for name, team in contract.teams.items() if pull_secret.make_secret_ref(team) in written}
        # One check per registry, in the namespace of the first team by name.
        team_by_host = {team.registry.host: name for name, team in sorted(teams.items(), reverse=True)}
        for host, name in sorted(team_by_host.items()):
            login = credentials.logins[host]
            local_result = self.get_result((host, login))
            if local_result.retry_on_node:
                report(f"Check the login to registry {host} from a node")
                node_result = node_check.check_login_on_node(kube, contract, name, login)
                _raise_if_rejected(host, node_result)
                self._results[host, login] = _merge_results(local_result, node_result)


def get_secret_login(team: Team, live: LiveState) -> HostLogin | None:
    """Get the login for the team's registry from the team's Secret; None if it has none."""
    secret = live.secrets.get((team.namespace, team.registry.pull_secret))
    login = secret.logins.get(normalize_host(team.registry.host)) if secret and team.registry.host else None
    return (team.registry.host, login) if isinstance(login, RegistryLogin) else None


def describe_result(result: LoginResult) -> str:
    """Describe a result in a few words."""
    return f"login {result.status} ({result.evidence})"


def _merge_results(local: LoginResult, node: LoginResult) -> LoginResult:
    is_accepted = node.status is LoginStatus.ACCEPTED
    return LoginResult(node.status, node.evidence if is_accepted else f"{local.evidence}; {node.evidence}")


def _raise_if_rejected(host: str, result: LoginResult) -> None:
    if result.status is LoginStatus.REJECTED:
        raise BootstrapError(
            f"Registry {host} rejected the login ({result.evidence}). Nothing was written. "
            f"Run docker login {host} or pass other credentials, and run again."
        )
