"""Whether the registries take the sign-ins of one run: each is asked once, from here, or else by a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import inf

from kpo_platform.bootstrap.model import Live, Login, Plan
from kpo_platform.bootstrap.registry import login_check, node_check, pull_secret
from kpo_platform.bootstrap.registry.docker_config import Credentials, bare_host
from kpo_platform.bootstrap.registry.login_check import Answer, Verdict
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Deadline, Kube

Pair = tuple[str, Login]
"""A registry's host and a sign-in for it."""


@dataclass
class Questions:
    """What the registries said.

    Attributes:
        deadline: until when answers are waited for.
    """

    deadline: Deadline = field(default_factory=lambda: Deadline(inf))
    _asked: dict[Pair, Callable[[float], Verdict]] = field(default_factory=dict, repr=False)
    _answers: dict[Pair, Verdict] = field(default_factory=dict, repr=False)

    def begin(self, pairs: Iterable[Pair]) -> None:
        """Ask from here, all at the same time and without waiting for answers."""
        for pair in set(pairs) - self._asked.keys():
            self._asked[pair] = login_check.begin(*pair)

    def answer(self, pair: Pair) -> Verdict:
        """The answer to one sign-in."""
        if pair not in self._answers:
            self.begin([pair])
            self._answers[pair] = self._asked[pair](self.deadline.remaining_seconds())
        return self._answers[pair]

    def about(self, credentials: Credentials) -> Credentials:
        """The sign-ins that were given, with what their registries said.

        Raises:
            BootstrapError: one refused.
        """
        answers = {host: self.answer((host, login)) for host, login in credentials.logins.items()}
        for host, verdict in answers.items():
            _refuse(host, verdict)
        return replace(credentials, answers={host: f"; {told(verdict)}" for host, verdict in answers.items()})

    def about_live(self, teams: Iterable[Team], live: Live) -> Mapping[Pair, Verdict]:
        """What the registries say to the sign-ins in the teams' secrets."""
        pairs = [pair for team in teams if (pair := pair_of(team, live))]
        self.begin(pairs)
        return {pair: self.answer(pair) for pair in pairs}

    def ask_nodes(
        self, kube: Kube, contract: Contract, credentials: Credentials, made: Plan, say: Callable[[str], None]
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
        written = {each.target for each in made.objects}
        teams = {name: team for name, team in contract.teams.items() if pull_secret.target(team) in written}
        by_host = {team.registry.host: name for name, team in sorted(teams.items(), reverse=True)}
        for host, name in sorted(by_host.items()):
            login = credentials.logins[host]
            here = self.answer((host, login))
            if here.elsewhere:
                say(f"Ask a node whether registry {host} takes the sign-in")
                there = node_check.ask(kube, contract, name, login)
                _refuse(host, there)
                seen = there.seen if there.answer is Answer.TAKEN else f"{here.seen}; {there.seen}"
                self._answers[host, login] = Verdict(there.answer, seen)


def pair_of(team: Team, live: Live) -> Pair | None:
    """The sign-in for its registry in a team's secret, if there is one."""
    secret = live.secrets.get((team.namespace, team.registry.pull_secret))
    login = secret.logins.get(bare_host(team.registry.host)) if secret and team.registry.host else None
    return (team.registry.host, login) if isinstance(login, Login) else None


def told(verdict: Verdict) -> str:
    """An answer in a few words."""
    return f"sign-in {verdict.answer} ({verdict.seen})"


def _refuse(host: str, verdict: Verdict) -> None:
    if verdict.answer is Answer.REFUSED:
        raise BootstrapError(
            f"Registry {host} refused the sign-in ({verdict.seen}), so nothing was written: "
            f"run docker login {host}, or give another sign-in, and run again."
        )
