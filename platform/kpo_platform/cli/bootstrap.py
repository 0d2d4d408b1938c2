"""``platformctl bootstrap``: plan, confirm, apply and verify."""

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
from kpo_platform.cli.output import write_json, write_lines, write_message
from kpo_platform.errors import AirflowError, BootstrapError, TeamError
from kpo_platform.kube import Deadline

PASSWORD_VARIABLE = "PLATFORMCTL_AIRFLOW_PASSWORD"
"""The environment variable with the password for --airflow-username."""

_EXAMPLES = """\b
Examples:
  platformctl bootstrap                          # show the plan, confirm, apply, verify
  platformctl bootstrap --dry-run                # only show the plan
  platformctl bootstrap --team alpha --yes       # one team, without confirmation
  podman login --authfile auth.json registry.example.com
  platformctl bootstrap --registry-config auth.json
  platformctl bootstrap --registry-username robot     # prompts for the password
  platformctl bootstrap --registry-secret airflow/pull-secret
  platformctl bootstrap --target-kubeconfig other.yaml --target-account airflow/launcher
  platformctl bootstrap --airflow-url https://airflow.example.com --airflow-username ada
"""


@click.command("bootstrap", epilog=_EXAMPLES)
@click.option("--team", "names", multiple=True, metavar="TEAM", help="Process only this team; may be repeated.")
@click.option("--dry-run", is_flag=True, help="Show the plan and change nothing.")
@click.option("--yes", is_flag=True, help="Apply the plan without confirmation.")
@click.option("--detailed-exitcode", is_flag=True, help="With --dry-run: exit with 2 if changes are pending.")
@click.option("--airflow-url", metavar="URL", help="URL of Airflow's API.  [default: port-forward to its Service]")
@click.option(
    "--airflow-username",
    metavar="NAME",
    help=f"Airflow user; the password is read from {PASSWORD_VARIABLE} or prompted for."
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
    """Create registry secrets, volume claims and Airflow connections.

    Shows the plan, asks for confirmation, applies the plan and verifies the result. Can be run again at any time: it
    changes only what differs, and deletes nothing.
    """
    _check_options(dry_run, yes, detailed_exitcode, registry.config, output)
    _check_airflow_url(airflow_url)
    login = _read_login(airflow_username) if airflow_username else None
    run = _start_run(cluster, names, airflow_url, login, target)
    credentials = registry.find_credentials(run.registry_hosts, run.kube)
    as_text = output == "text"
    with nullcontext() if dry_run else hold_lease(run.kube, cluster.namespace, write_message) as lease:
        plan = run.plan(credentials, dry_run=dry_run)
        if as_text:
            write_lines(plan_output.format_plan(plan))
        refusal = explain_refusal(plan, run.teams)
        evidence = _apply_plan(run, plan, credentials, yes, lease) if lease and not refusal else ()
    if as_text:
        write_lines(plan_output.format_evidence(evidence))
    else:
        write_json(plan_output.build_json(plan, evidence, applied=not dry_run and not refusal))
    if refusal:
        write_message(f"Error: {refusal}", "red")
    return _choose_exit(plan, evidence, detailed_exitcode)


def _check_options(dry_run: bool, yes: bool, detailed_exitcode: bool, registry_config: str | None, output: str) -> None:
    if detailed_exitcode and not dry_run:
        raise click.UsageError("--detailed-exitcode requires --dry-run.")
    if dry_run or yes:
        return
    causes = {
        "stdin is not a terminal": not sys.stdin.isatty(),
        "stdin is the registry configuration": registry_config == "-",
        "the output is JSON": output == "json",
    }
    if cause := next((cause for cause, applies in causes.items() if applies), ""):
        raise click.UsageError(f"Cannot prompt: {cause}. Pass --yes to apply or --dry-run to preview.")


def _check_airflow_url(airflow_url: str | None) -> None:
    try:
        if airflow_url is not None:
            connect_by_url(airflow_url, Deadline(0))
    except AirflowError as error:
        raise click.UsageError(str(error)) from error


def _read_login(username: str) -> tuple[str, str]:
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and not sys.stdin.isatty():
        raise click.UsageError(
            f"Cannot prompt for the Airflow password of {username}: stdin is not a terminal. Set {PASSWORD_VARIABLE}."
        )
    return username, password or click.prompt(f"Airflow password of {username}", hide_input=True, err=True)


def _start_run(
    cluster: Cluster,
    names: tuple[str, ...],
    airflow_url: str | None,
    login: tuple[str, str] | None,
    target: TargetCluster | None,
) -> BootstrapRun:
    write_message(f"► Reading the contract of namespace {cluster.namespace} and the current state")
    kube, contract = cluster.open()
    try:
        teams = select_teams(contract, names)
    except TeamError as error:
        raise click.UsageError(str(error)) from error
    access = build_cluster_access(cluster.kubeconfig, cluster.context)
    return start_run(kube, access, contract, teams, airflow_url, login, target)


def _apply_plan(
    run: BootstrapRun, plan: Plan, credentials: RegistryCredentials, yes: bool, lease: HeldLease
) -> tuple[Evidence, ...]:
    if plan.has_pending:
        if not yes:
            _confirm(run)
        lease.ensure_held()
        run.apply(plan, credentials, plan_output.ProgressOutput())
    write_message("► Verifying the result")
    return run.verify()


def _confirm(run: BootstrapRun) -> None:
    try:
        with run.kube.deadline.pause():
            is_confirmed = click.confirm("Apply this plan?", err=True)
    except click.Abort:
        click.echo(err=True)  # end the line of the prompt
        raise
    if not is_confirmed:
        raise BootstrapError("Cancelled. Nothing was changed.")


def _choose_exit(plan: Plan, evidence: tuple[Evidence, ...], detailed_exitcode: bool) -> Exit:
    if plan.has_blocked or not all(item.healthy for item in evidence):
        return Exit.FINDINGS
    return Exit.CHANGES_PENDING if detailed_exitcode and plan.has_pending else Exit.OK
