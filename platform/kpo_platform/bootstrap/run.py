"""Run bootstrap for some teams: plan, apply and verify."""

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
from kpo_platform.bootstrap.connections.target_cluster import TargetAccess, TargetCluster
from kpo_platform.bootstrap.model import LiveState, Plan
from kpo_platform.bootstrap.registry.checks import LoginChecks
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.contract import Contract, Team
from kpo_platform.contract.team import ConnectionRef
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import SECRET, Kube, find_kubeconfig

_PROVISIONING_SECONDS = 60.0
# `runner` sets these variables for Ansible's modules. The values of this process must not replace them.
_ANSIBLE_VARIABLES = ("TMPDIR", "PYTHONPATH")


@dataclass(frozen=True)
class BootstrapRun:
    """One run of bootstrap for some teams.

    Attributes:
        contract: the contract that the chart published.
        teams: the teams of the run, by name.
        kube: the cluster.
        airflow: Airflow's API, logged in.
        cluster_access: how Ansible's modules reach the cluster.
        airflow_access: how Ansible's modules reach Airflow.
        target: the cluster for connections to another cluster; None if the user named none.
        login_checks: the checks of registry logins.
    """

    contract: Contract
    teams: Mapping[str, Team]
    kube: Kube
    airflow: AirflowApi
    cluster_access: payload.ClusterAccess
    airflow_access: payload.AirflowAccess
    target: TargetCluster | None = None
    login_checks: LoginChecks = field(default_factory=LoginChecks)

    @property
    def registry_hosts(self) -> tuple[str, ...]:
        """The hosts of the teams' registries."""
        return tuple(sorted({team.registry.host for team in self.teams.values() if team.registry.host}))

    def plan(self, credentials: RegistryCredentials, *, dry_run: bool) -> Plan:
        """Plan the run and dry-run its writes on the API server.

        Args:
            credentials: the credentials for the teams' registries.
            dry_run: whether the plan will not be applied. Then no token is requested.

        Raises:
            PlatformError: the live state cannot be read, the API server rejects a write, or a registry rejects a
                login.
        """
        self.login_checks.start(credentials.logins.items())
        live, checked_credentials = self._read_live_state(), self.login_checks.check_credentials(credentials)
        access = self._get_target_access(live, dry_run)
        run_plan = plan.make_plan(self.contract, self.teams, checked_credentials, live, access)
        runner.dry_run_writes(self.kube, run_plan)
        return run_plan

    def apply(self, run_plan: Plan, credentials: RegistryCredentials, progress: runner.Progress) -> None:
        """Check from nodes the logins that this machine could not check, then write.

        Args:
            run_plan: the plan to apply.
            credentials: the credentials of the plan.
            progress: is called for each task and each write.

        Raises:
            BootstrapError: a registry rejected a login, or the run could not complete. Completed writes stay.
            KeyboardInterrupt: Ctrl-C or SIGTERM.
        """
        runner.require_ansible()
        self.login_checks.check_on_nodes(self.kube, self.contract, credentials, run_plan, progress.report_task)
        remaining_seconds = self.kube.deadline.remaining_seconds()
        access = self.cluster_access.model_copy(update={"timeout": remaining_seconds})
        payloads = payload.build_payloads(run_plan, access, self.airflow_access)
        runner.run_playbook(payloads, remaining_seconds, progress)

    def verify(self) -> tuple[verify.Evidence, ...]:
        """Verify the written state; wait up to a minute for claims that are being provisioned.

        Raises:
            PlatformError: the state cannot be read.
        """
        timeout = min(_PROVISIONING_SECONDS, self.kube.deadline.remaining_seconds())
        live = verify.wait_for_claims(self._read_live_state, self.teams, timeout)
        login_results = self.login_checks.check_live_secrets(self.teams.values(), live)
        return verify.verify_state(self.contract, self.teams, live, login_results)

    def _read_live_state(self) -> LiveState:
        return read_state.read_live_state(self.kube, self.airflow, self.contract, self.teams)

    def _get_target_access(self, live: LiveState, dry_run: bool) -> dict[str, TargetAccess]:
        """Get access for each connection to another cluster.

        A token is requested only for a connection that needs one.
        """
        if self.target is None:
            return {}
        timeout = self.kube.deadline.remaining_seconds()
        access = {}
        for ref in connection.list_connections(self.teams):
            if ref.mode == "kubeconfig":
                access[ref.id] = target_cluster.read_kubeconfig_access(self.target, timeout)
            elif ref.mode == "remote" and self._needs_token(self.target, ref, live):
                access[ref.id] = target_cluster.request_token_access(
                    self.target, live.read_at, timeout, dry_run=dry_run
                )
        return access

    def _needs_token(self, target: TargetCluster, ref: ConnectionRef, live: LiveState) -> bool:
        """Whether a connection has no token, an old one, or one for another cluster or account."""
        current = env_secret.read_connection(ref, live) if ref.via == "env" else live.connections.get(ref.id)
        if current is None or connection.find_problem(ref, self.contract.xcom_sidecar, current, live.read_at):
            return True
        wanted = {"server": target.read_context().server, "user": target_cluster.get_account_user(target)}
        return not wanted.items() <= connection.read_record(current).items()


def start_run(
    kube: Kube,
    access: payload.ClusterAccess,
    contract: Contract,
    teams: Mapping[str, Team],
    airflow_url: str | None,
    login: tuple[str, str] | None = None,
    target: TargetCluster | None = None,
) -> BootstrapRun:
    """Log in to Airflow and return a run that can be planned.

    Args:
        kube: the cluster.
        access: how Ansible's modules reach the same cluster.
        contract: the contract that the chart published.
        teams: the teams of the run, by name.
        airflow_url: the URL of Airflow; None for a port-forward through the Kubernetes API.
        login: user name and password for Airflow; None for those in the Secret that the contract names.
        target: the cluster for connections to another cluster; None if the user named none.

    Raises:
        ClusterError: the administrator's password cannot be read, or Airflow cannot be reached.
        AirflowError: Airflow rejected the password.
    """
    airflow_access = payload.AirflowAccess(
        url=airflow_url, namespace=contract.release.namespace, service=contract.airflow.api_service
    )
    airflow = airflow_access.connect(kube)
    airflow.log_in(*(login or _read_admin_login(kube, contract)), _describe_login_fix(contract, login))
    airflow_access = airflow_access.model_copy(update={"token": airflow.token})
    return BootstrapRun(contract, teams, kube, airflow, access, airflow_access, target, LoginChecks(kube.deadline))


def select_teams(contract: Contract, names: tuple[str, ...]) -> dict[str, Team]:
    """Select teams by name, or all teams if no name is given.

    Raises:
        TeamError: the contract has no such team.
    """
    return {name: contract.team(name) for name in names or tuple(sorted(contract.teams))}


def build_cluster_access(kubeconfig: str | None, context: str | None) -> payload.ClusterAccess:
    """Build the access of Ansible's modules to the same cluster.

    Args:
        kubeconfig: the path of the kubeconfig; None for the default of kubectl.
        context: the context; None for the current context.
    """
    file = find_kubeconfig(kubeconfig)
    # KUBECONFIG may be a list of files. The paths are absolute, because Ansible changes the working directory.
    paths = [str(Path(path).absolute()) for path in file.split(os.pathsep)] if file else []
    return payload.ClusterAccess(
        kubeconfig=os.pathsep.join(paths) or None,
        context=context,
        environment={key: value for key, value in os.environ.items() if key not in _ANSIBLE_VARIABLES},
    )


def _describe_login_fix(contract: Contract, login: tuple[str, str] | None) -> str:
    if login:
        return f"Run again with the Airflow password of {login[0]}."
    secret = f"Secret {contract.release.namespace}/{contract.airflow.admin_secret}"
    return f"They come from {secret}. Correct them there, or log in as another user with --airflow-username."


def _read_admin_login(kube: Kube, contract: Contract) -> tuple[str, str]:
    name, namespace = contract.airflow.admin_secret, contract.release.namespace
    content = kube.get(SECRET, name, namespace).get("data") or {}
    try:
        return base64.b64decode(content["username"]).decode(), base64.b64decode(content["password"]).decode()
    except (KeyError, ValueError) as error:
        raise BootstrapError(
            f"Secret {namespace}/{name} has no valid username and password. Set both keys to the administrator's."
        ) from error
