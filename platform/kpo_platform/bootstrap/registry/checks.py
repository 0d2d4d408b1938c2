"""Whether the registries take the sign-ins of one run: each is asked once, from here, or else by a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from kpo_platform.bootstrap.model import LiveState, Plan, RegistryLogin
from kpo_platform.bootstrap.registry import login_check, node_check, pull_secret
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials, normalize_host
from kpo_platform.bootstrap.registry.login_check import LoginResult, LoginStatus
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Deadline, Kube

HostLogin = tuple[str, RegistryLogin]
"""A registry's host and a sign-in for it."""


@dataclass
class LoginChecks:
    """What the registries said.

    Attributes:
        deadline: until when answers are waited for.
    """

    deadline: Deadline = field(default_factory=lambda: Deadline(inf))
    _asked: dict[HostLogin, Callable[[float], LoginResult]] = field(default_factory=dict, repr=False)
    _answers: dict[HostLogin, LoginResult] = field(default_factory=dict, repr=False)

    def begin(self, pairs: Iterable[HostLogin]) -> None:
        """Ask from here, all at the same time and without waiting for answers."""
        for pair in set(pairs) - self._asked.keys():
            self._asked[pair] = login_check.start_check(*pair)

    def answer(self, pair: HostLogin) -> LoginResult:
        """The answer to one sign-in."""
        if pair not in self._answers:
            self.begin([pair])
            self._answers[pair] = self._asked[pair](self.deadline.remaining_seconds())
        return self._answers[pair]

    def about(self, credentials: RegistryCredentials) -> RegistryCredentials:
        """The sign-ins that were given, with what their registries said.

        Raises:
            BootstrapError: one refused.
        """
        answers = {host: self.answer((host, login)) for host, login in credentials.logins.items()}
        for host, verdict in answers.items():
            _raise_if_rejected(host, verdict)
        return replace(
            credentials, answers={host: f"; {describe_result(verdict)}" for host, verdict in answers.items()}
        )

    def check_live_secrets(self, teams: Iterable[Team], live: LiveState) -> Mapping[HostLogin, LoginResult]:
        """What the registries say to the sign-ins in the teams' secrets."""
        pairs = [pair for team in teams if (pair := get_secret_login(team, live))]
        self.begin(pairs)
        return {pair: self.answer(pair) for pair in pairs}

    def ask_nodes(
        self, kube: Kube, contract: Contract, credentials: RegistryCredentials, made: Plan, say: Callable[[str], None]
    ) -> None:
        """Ask by a node what could not be asked from here, before it is written.

        Args:
            kube: the cluster.
            contract: what the chart published.
            credentials: the sign-ins that were given.
            made: the plan, which says what is to be written.
            say: is told of each question.

        Raises:
            BootstrapError: a registry refused.
        """
        written = {each.target for each in made.object_writes}
        teams = {name: team for name, team in contract.teams.items() if pull_secret.make_secret_ref(team) in written}
        by_host = {team.registry.host: name for name, team in sorted(teams.items(), reverse=True)}
        for host, name in sorted(by_host.items()):
            login = credentials.logins[host]
            here = self.answer((host, login))
            if here.retry_on_node:
                say(f"Ask a node whether registry {host} takes the sign-in")
                there = node_check.check_login_on_node(kube, contract, name, login)
                _raise_if_rejected(host, there)
                seen = there.evidence if there.status is LoginStatus.ACCEPTED else f"{here.evidence}; {there.evidence}"
                self._answers[host, login] = LoginResult(there.status, seen)


def get_secret_login(team: Team, live: LiveState) -> HostLogin | None:
    """The sign-in for its registry in a team's secret, if there is one."""
    secret = live.secrets.get((team.namespace, team.registry.pull_secret))
    login = secret.logins.get(normalize_host(team.registry.host)) if secret and team.registry.host else None
    return (team.registry.host, login) if isinstance(login, RegistryLogin) else None


def describe_result(verdict: LoginResult) -> str:
    """An answer in a few words."""
    return f"sign-in {verdict.status} ({verdict.evidence})"


def _raise_if_rejected(host: str, verdict: LoginResult) -> None:
    if verdict.status is LoginStatus.REJECTED:
        raise BootstrapError(
            f"Registry {host} refused the sign-in ({verdict.evidence}), so nothing was written: "
            f"run docker login {host}, or give another sign-in, and run again."
        )
