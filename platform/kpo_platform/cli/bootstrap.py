"""``platformctl bootstrap``: plan, show, ask, apply, verify."""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext

import click

from kpo_platform.bootstrap.connections.airflow_api import connect_by_url
from kpo_platform.bootstrap.connections.target_cluster import TargetCluster
from kpo_platform.bootstrap.lease import HeldLease, hold_lease
from kpo_platform.bootstrap.model import Plan
from kpo_platform.bootstrap.plan import explain_refusal
from kpo_platform.bootstrap.registry.docker_config import RegistryCredentials
from kpo_platform.bootstrap.run import BootstrapRun, build_cluster_access, select_teams, start_run
from kpo_platform.bootstrap.verify import Evidence
from kpo_platform.cli import plan_output
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, Registry, cluster_options, output_option, registry_options, target_options
from kpo_platform.cli.output import data_json, data_lines, say
from kpo_platform.errors import AirflowError, BootstrapError, TeamError
from kpo_platform.kube import Deadline

PASSWORD_VARIABLE = "PLATFORMCTL_AIRFLOW_PASSWORD"
"""The environment variable with the password that goes with --airflow-username."""

_EXAMPLES = """\b
Examples:
  platformctl bootstrap                          # show the plan, ask, apply, verify
  platformctl bootstrap --dry-run                # only show the plan
  platformctl bootstrap --team alpha --yes       # one team, unattended
  podman login --authfile auth.json registry.example.com
  platformctl bootstrap --registry-config auth.json
  platformctl bootstrap --registry-username robot     # asks for the password
  platformctl bootstrap --registry-secret airflow/pull-secret
  platformctl bootstrap --target-kubeconfig other.yaml --target-account airflow/launcher
  platformctl bootstrap --airflow-url https://airflow.example.com --airflow-username ada
"""


@click.command("bootstrap", epilog=_EXAMPLES)
@click.option("--team", "names", multiple=True, metavar="TEAM", help="Only this team; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show what would be done and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--detailed-exitcode", is_flag=True, help="With --dry-run: exit with 2 when changes are pending.")
@click.option("--airflow-url", metavar="URL", help="Where Airflow is.  [default: a port-forward to its Service]")
@click.option(
    "--airflow-username",
    metavar="NAME",
    help=f"Sign in to Airflow as this user, with the password in {PASSWORD_VARIABLE} or asked for."
    "  [default: user and password of the release's Secret]",
)
@registry_options
@target_options
@output_option
@cluster_options
def command(
    cluster: Cluster,
    names: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    detailed_exitcode: bool,
    registry: Registry,
    airflow_url: str | None,
    airflow_username: str | None,
    target: TargetCluster | None,
    output: str,
) -> int:
    """Make what holds secrets or data: registry secrets, volume claims, the Airflow connection.

    Can be run again at any time: what is as it should be stays untouched, and nothing is ever deleted.
    """
    _refuse_contradictions(dry_run, yes, detailed_exitcode, registry.config, output)
    _refuse_no_address(airflow_url)
    login = _login(airflow_username) if airflow_username else None
    current = _begin(cluster, names, airflow_url, login, target)
    credentials = registry.find(current.registry_hosts, current.kube)
    as_text = output == "text"
    with nullcontext() if dry_run else hold_lease(current.kube, cluster.namespace, say) as turn:
        plan = current.plan(credentials, dry_run=dry_run)
        if as_text:
            data_lines(plan_output.plan_lines(plan))
        refused = explain_refusal(plan, current.teams)
        evidence = _apply(current, plan, credentials, yes, turn) if turn and not refused else ()
    if as_text:
        data_lines(plan_output.evidence_lines(evidence))
    else:
        data_json(plan_output.as_json(plan, evidence, applied=not dry_run and not refused))
    if refused:
        say(f"Error: {refused}", "red")
    return _exit(plan, evidence, detailed_exitcode)


def _refuse_contradictions(
    dry_run: bool, yes: bool, detailed_exitcode: bool, registry_config: str | None, output: str
) -> None:
    if detailed_exitcode and not dry_run:
        raise click.UsageError("--detailed-exitcode needs --dry-run: after a run no change is pending.")
    if dry_run or yes:
        return
    reasons = {
        "there is no terminal": not sys.stdin.isatty(),
        "standard input is the registry configuration": registry_config == "-",
        "the result is JSON": output == "json",
    }
    if why := next((reason for reason, holds in reasons.items() if holds), ""):
        raise click.UsageError(
            f"Nobody can be asked, because {why}: add --yes to do it, or --dry-run to only see the plan."
        )


def _refuse_no_address(airflow_url: str | None) -> None:
    try:
        if airflow_url is not None:
            connect_by_url(airflow_url, Deadline(0))
    except AirflowError as error:
        raise click.UsageError(str(error)) from error


def _login(username: str) -> tuple[str, str]:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and not sys.stdin.isatty():
        raise click.UsageError(
            f"There is no terminal to ask for {username}'s password of Airflow: set {PASSWORD_VARIABLE}."
        )
    return username, password or click.prompt(f"Password of {username} for Airflow", hide_input=True, err=True)


def _begin(
    cluster: Cluster,
    names: tuple[str, ...],
    airflow_url: str | None,
    login: tuple[str, str] | None,
    target: TargetCluster | None,
) -> BootstrapRun:
    say(f"► Reading the contract of namespace {cluster.namespace}, and what is there")
    kube, contract = cluster.open()
    try:
        teams = select_teams(contract, names)
    except TeamError as error:
        raise click.UsageError(str(error)) from error
    access = build_cluster_access(cluster.kubeconfig, cluster.context)
    return start_run(kube, access, contract, teams, airflow_url, login, target)


def _apply(
    current: BootstrapRun, plan: Plan, credentials: RegistryCredentials, yes: bool, turn: HeldLease
) -> tuple[Evidence, ...]:
    if plan.has_pending:
        if not yes:
            _ask(current)
        turn.ensure_held()
        current.apply(plan, credentials, plan_output.Talk())
    say("► Reading everything back")
    return current.verify()


def _ask(current: BootstrapRun) -> None:
    try:
        with current.kube.deadline.pause():
            agreed = click.confirm("Do this?", err=True)
    except click.Abort:
        click.echo(err=True)  # the cursor is still behind the question
        raise
    if not agreed:
        raise BootstrapError("Nothing was changed: the answer was no.")


def _exit(plan: Plan, evidence: tuple[Evidence, ...], detailed_exitcode: bool) -> Exit:
    if plan.has_blocked or not all(each.healthy for each in evidence):
        return Exit.FINDINGS
    return Exit.CHANGES_PENDING if detailed_exitcode and plan.has_pending else Exit.OK
