"""``platformctl teams``: list and show teams, and delete a team's data."""

from __future__ import annotations

from dataclasses import asdict

import click
import yaml

from kpo_platform.bootstrap.volumes import deletion
from kpo_platform.bootstrap.volumes.left_namespaces import LeftNamespace, list_left_namespaces
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options, output_option
from kpo_platform.cli.output import format_count, sanitize, write_json, write_lines, write_message
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import Forbidden, TeamError
from kpo_platform.kube import Kube

_COLUMNS = ("TEAM", "NAMESPACE", "REGISTRY", "VOLUMES", "CONNECTION")


class _ListByDefault(click.Group):
    """Runs ``list`` if the arguments name no subcommand."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        is_bare = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if is_bare else args)


@click.group("teams", cls=_ListByDefault, epilog="\b\nExamples:\n  platformctl teams\n  platformctl teams show alpha")
def command() -> None:
    """List and show teams, and delete a team's data. Without a subcommand, list the teams."""


@command.command("list", epilog="\b\nExample:\n  platformctl teams list -o json")
@output_option
@cluster_options
def list_teams(cluster: Cluster, output: str) -> int:
    """List the teams, and the namespaces that no team uses any more."""
    kube, contract = cluster.open()
    left_namespaces = _list_left_namespaces(kube, contract)
    if output == "json":
        teams = {name: _team_to_json(team) for name, team in sorted(contract.teams.items())}
        write_json({"teams": teams, "removed": [asdict(left) for left in left_namespaces]})
    else:
        rows = [_COLUMNS, *(_build_row(name, team) for name, team in sorted(contract.teams.items()))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        write_lines((line.rstrip(), None) for line in lines)
    for left in left_namespaces:
        namespace = contract.teams[left.name].namespace if left.name in contract.teams else ""
        reason = f"uses namespace {namespace} now" if namespace else "is no longer declared"
        write_message(f"! Namespace {left.namespace}: team {left.name} {reason}. Its volumes and secrets are kept.")
    return Exit.OK


@command.command("show", epilog="\b\nExample:\n  platformctl teams show alpha")
@click.argument("name", metavar="TEAM")
@output_option
@cluster_options
def show_team(cluster: Cluster, name: str, output: str) -> int:
    """Show the settings of a team, including defaults."""
    _, contract = cluster.open()
    try:
        team = _team_to_json(contract.team(name))
    except TeamError as error:
        raise click.UsageError(str(error)) from error
    if output == "json":
        write_json(team)
    else:
        click.echo(yaml.safe_dump(team, sort_keys=False), nl=False)  # YAML escapes control characters
    return Exit.OK


_DELETE_EXAMPLES = """\b
Examples:
  platformctl teams delete alpha                                  # preview
  platformctl teams delete alpha --delete-data --confirm alpha    # delete the data
"""


@command.command("delete", epilog=_DELETE_EXAMPLES)
@click.argument("name", metavar="TEAM")
@click.option("--delete-data", is_flag=True, help="Delete the team's volume claims, and so its data.")
@click.option("--confirm", metavar="TEAM", help="The team's name again; required with --delete-data.")
@cluster_options
def delete_team(cluster: Cluster, name: str, delete_data: bool, confirm: str | None) -> int:
    """Delete the data of a declared or former team. Without --delete-data, only list it.

    No other command deletes data. The reclaim policy of the storage class decides whether the volumes are deleted with
    their claims.
    """
    if delete_data and confirm != name:
        raise click.UsageError(f"--delete-data requires --confirm {name}: deleted data cannot be restored.")
    kube, contract = cluster.open()
    try:
        # Deleting the data of a declared team does not need the right to list namespaces.
        list_namespaces = _list_left_namespaces if name in contract.teams else list_left_namespaces
        plan = deletion.plan_deletion(kube, contract, name, list_namespaces(kube, contract))
    except TeamError as error:
        raise click.UsageError(str(error)) from error
    if not delete_data:
        write_lines((sanitize(f"- {claim.ref}: delete ({claim.description})"), "red") for claim in plan.claims)
        claims = format_count(len(plan.claims), "volume claim")
        write_message(f"Nothing was deleted. To delete {claims}, pass --delete-data --confirm {name}.")
        return Exit.OK
    for claim, state in deletion.delete_claims(kube, plan):
        write_lines([(sanitize(f"- {claim.ref}: {state}"), "red")])
    if plan.is_declared:
        write_message(f"Team {name} is still declared. The next bootstrap creates its claims again, empty.")
    if plan.left_namespaces:
        write_message(
            f"Secrets and other objects remain. Delete: kubectl delete namespace {' '.join(plan.left_namespaces)}"
        )
    return Exit.OK


def _list_left_namespaces(kube: Kube, contract: Contract) -> tuple[LeftNamespace, ...]:
    """List the namespaces that no team uses any more; warn if the right to list namespaces is missing."""
    try:
        return list_left_namespaces(kube, contract)
    except Forbidden as error:
        write_message(f"Namespaces that no team uses any more are not shown. {error}")
        return ()


def _team_to_json(team: Team) -> dict[str, object]:
    return team.model_dump(by_alias=True, mode="json")


def _build_row(name: str, team: Team) -> tuple[str, ...]:
    volumes = ", ".join(f"{volume.name} {volume.size}" for volume in team.volumes)
    cells = (name, team.namespace, team.registry.host, volumes, team.connection.id)
    return tuple(sanitize(cell) or "-" for cell in cells)
