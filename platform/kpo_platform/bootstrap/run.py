"""One run of bootstrap, from the contract to the evidence."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kpo_platform.bootstrap import plan, read_state, verify
from kpo_platform.bootstrap.ansible import payload, runner
from kpo_platform.bootstrap.connections import connection, env_secret, target_cluster
from kpo_platform.bootstrap.connections.airflow_api import AirflowApi
from kpo_platform.bootstrap.connections.target_cluster import TargetAccess
from kpo_platform.bootstrap.model import LiveState, Plan
from kpo_platform.bootstrap.registry.checks import LoginChecks
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.contract import Contract, Team
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import SECRET, Kube, find_kubeconfig

_SETTLE_SECONDS = 60.0
_ANSIBLE_VARIABLES = ("TMPDIR", "PYTHONPATH")


@dataclass(frozen=True)
class BootstrapRun:
    """What one run works on.

    Attributes:
        contract: what the chart published.
        teams: the teams that the run is for, by name.
        kube: the cluster.
        airflow: Airflow, signed in.
        cluster_access: how Ansible's modules reach the cluster.
        airflow_access: how Ansible's modules reach Airflow.
        target: the cluster for connections that lead out, if one was named.
        login_checks: what the registries say to the sign-ins.
    """

    contract: Contract
    teams: Mapping[str, Team]
    kube: Kube
    airflow: AirflowApi
    cluster_access: payload.ClusterAccess
    airflow_access: payload.AirflowAccess
    target: target_cluster.TargetCluster | None = None
    login_checks: LoginChecks = field(default_factory=LoginChecks)

    @property
    def registry_hosts(self) -> tuple[str, ...]:
        """The hosts of the teams' registries."""
        return tuple(sorted({team.registry.host for team in self.teams.values() if team.registry.host}))

    def plan(self, credentials: RegistryCredentials, *, dry_run: bool) -> Plan:
        """What is to be done; the API server has already agreed to its part, without doing it.

        Args:
            credentials: the sign-ins for the teams' registries.
            dry_run: nothing will be done, so no token is asked for.

        Raises:
            PlatformError: the live state could not be read, the API server would refuse a write, or a registry
                refused the sign-in.
        """
        self.login_checks.begin(credentials.logins.items())
        live, answered = self._live(), self.login_checks.about(credentials)
        made = plan.make_plan(self.contract, self.teams, answered, live, self._ways(live, dry_run))
        runner.dry_run_writes(self.kube, made)
        return made

    def apply(self, made: Plan, credentials: RegistryCredentials, progress: runner.Progress) -> None:
        """Do it; before anything is written, sign-ins that could not be tried from here are tried by a node.

        Args:
            made: the plan.
            credentials: the sign-ins that it was made with.
            progress: is told of each task and write.

        Raises:
            BootstrapError: it could not complete, and what was done stays; or a registry refused the sign-in.
            KeyboardInterrupt: Ctrl-C, or SIGTERM.
        """
        runner.require_ansible()
        self.login_checks.ask_nodes(self.kube, self.contract, credentials, made, progress.task_started)
        left = self.kube.deadline.remaining_seconds()
        access = self.cluster_access.model_copy(update={"timeout": left})
        runner.run_playbook(payload.build_payloads(made, access, self.airflow_access), left, progress)

    def verify(self) -> tuple[verify.Evidence, ...]:
        """Read everything back, waiting up to a minute for claims that are being provisioned.

        Raises:
            PlatformError: it could not be read.
        """
        live = verify.wait_for_claims(
            self._live, self.teams, min(_SETTLE_SECONDS, self.kube.deadline.remaining_seconds())
        )
        answers = self.login_checks.check_live_secrets(self.teams.values(), live)
        return verify.verify_state(self.contract, self.teams, live, answers)

    def _live(self) -> LiveState:
        return read_state.read_live_state(self.kube, self.airflow, self.contract, self.teams)

    def _ways(self, live: LiveState, dry_run: bool) -> dict[str, TargetAccess]:
        """What the connections that lead out need, as far as a cluster was named and they need something."""
        if self.target is None:
            return {}
        left = self.kube.deadline.remaining_seconds()
        found = {}
        for ref in connection.list_connections(self.teams):
            if ref.mode == "kubeconfig":
                found[ref.id] = target_cluster.read_kubeconfig_access(self.target, left)
            elif ref.mode == "remote" and self._is_due(ref, live):
                found[ref.id] = target_cluster.request_token_access(self.target, live.read_at, left, dry_run=dry_run)
        return found

    def _is_due(self, ref: ConnectionRef, live: LiveState) -> bool:
        """Whether a connection by a token needs a new one: its own is old, another's, or not there."""
        assert self.target is not None
        by_env = ref.via == "env"
        there = env_secret.read_connection(ref, live) if by_env else live.connections.get(ref.id)
        if there is None or connection.describe_problem(ref, self.contract.xcom_sidecar, there, live.read_at):
            return True
        wanted = {"server": self.target.read_context().server, "user": target_cluster.get_account_user(self.target)}
        return not wanted.items() <= connection.read_record(there).items()


def start_run(
    kube: Kube,
    access: payload.ClusterAccess,
    contract: Contract,
    teams: Mapping[str, Team],
    airflow_url: str | None,
    login: tuple[str, str] | None = None,
    target: target_cluster.TargetCluster | None = None,
) -> BootstrapRun:
    """Sign in to Airflow, and be ready to plan.

    Args:
        kube: the cluster.
        access: how Ansible's modules reach the same cluster.
        contract: what the chart published.
        teams: the teams that the run is for, by name.
        airflow_url: where Airflow is reached; by default through the Kubernetes API.
        login: user name and password for Airflow; by default those in the Secret that the contract names.
        target: the cluster for connections that lead out, if one was named.

    Raises:
        ClusterError: the administrator's password could not be read, or Airflow not be reached.
        AirflowError: Airflow refused the password.
    """
    there = payload.AirflowAccess(
        url=airflow_url, namespace=contract.release.namespace, service=contract.airflow.api_service
    )
    airflow = there.connect(kube)
    airflow.log_in(*(login or _read_admin_login(kube, contract)), _describe_fix(contract, login))
    airflow_access = there.model_copy(update={"token": airflow.token})
    return BootstrapRun(contract, teams, kube, airflow, access, airflow_access, target, LoginChecks(kube.deadline))


def build_cluster_access(kubeconfig: str | None, context: str | None) -> payload.ClusterAccess:
    """How Ansible's modules reach the cluster that this process reaches with the same arguments."""
    file = find_kubeconfig(kubeconfig)
    return payload.ClusterAccess(
        # Ansible changes the directory; KUBECONFIG may be a list of files.
        kubeconfig=os.pathsep.join(str(Path(each).absolute()) for each in file.split(os.pathsep)) if file else None,
        context=context,
        environment={key: value for key, value in os.environ.items() if key not in _ANSIBLE_VARIABLES},
    )


def _describe_fix(contract: Contract, login: tuple[str, str] | None) -> str:
    if login:
        return f"run again with the password that {login[0]} has in Airflow"
    secret = f"Secret {contract.release.namespace}/{contract.airflow.admin_secret}"
    return f"they are those of {secret}; put the valid ones there, or sign in as somebody else with --airflow-username"


def _read_admin_login(kube: Kube, contract: Contract) -> tuple[str, str]:
    name, namespace = contract.airflow.admin_secret, contract.release.namespace
    content = kube.get(SECRET, name, namespace).get("data") or {}
    try:
        return base64.b64decode(content["username"]).decode(), base64.b64decode(content["password"]).decode()
    except (KeyError, ValueError) as error:
        raise BootstrapError(
            f"Secret {namespace}/{name} has no username and password; the chart makes it with both."
        ) from error
