"""``platformctl teams``: the teams of the contract."""

from __future__ import annotations

from dataclasses import asdict

import click
import yaml

from kpo_platform.bootstrap.volumes import deletion
from kpo_platform.bootstrap.volumes.left_namespaces import LeftNamespace, list_left_namespaces
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options, output_option
from kpo_platform.cli.output import clean, data_json, data_lines, say
from kpo_platform.contract import Contract, Team
from kpo_platform.errors import Forbidden, TeamError
from kpo_platform.kube import Kube

_COLUMNS = ("TEAM", "NAMESPACE", "REGISTRY", "VOLUMES", "CONNECTION")


class _ListByDefault(click.Group):
    """Without a command of the group it is ``list``, also with options of that."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        bare = not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)
        return super().parse_args(ctx, ["list", *args] if bare else args)


@click.group("teams", cls=_ListByDefault, epilog="\b\nExamples:\n  platformctl teams\n  platformctl teams show alpha")
def command() -> None:
    """Look at the teams of the contract, and delete the data of one; alone it is list."""


@command.command("list", epilog="\b\nExample:\n  platformctl teams list -o json")
@output_option
@cluster_options
def list_teams(cluster: Cluster, output: str) -> int:
    """List the teams, and the namespaces that no team has any more."""
    kube, contract = cluster.open()
    left = _left(kube, contract)
    if output == "json":
        teams = {name: _as_json(team) for name, team in sorted(contract.teams.items())}
        data_json({"teams": teams, "removed": [asdict(each) for each in left]})
    else:
        rows = [_COLUMNS, *(_row(name, team) for name, team in sorted(contract.teams.items()))]
        widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        data_lines((line.rstrip(), None) for line in lines)
    for each in left:
        new = contract.teams[each.name].namespace if each.name in contract.teams else ""
        why = f"has namespace {new} now" if new else "is declared no more"
        say(f"! Namespace {each.namespace}: team {each.name} {why}; the volumes and secrets in it are kept.")
    return Exit.OK


@command.command("show", epilog="\b\nExample:\n  platformctl teams show alpha")
@click.argument("name", metavar="TEAM")
@output_option
@cluster_options
def show_team(cluster: Cluster, name: str, output: str) -> int:
    """Show one team with every default filled in."""
    _, contract = cluster.open()
    try:
        team = _as_json(contract.team(name))
    except TeamError as error:
        raise click.UsageError(str(error)) from error
    if output == "json":
        data_json(team)
    else:
        click.echo(yaml.safe_dump(team, sort_keys=False), nl=False)  # it escapes control characters itself
    return Exit.OK


_DELETE_EXAMPLES = """\b
Examples:
  platformctl teams delete alpha                                  # say what would go
  platformctl teams delete alpha --delete-data --confirm alpha    # delete it
"""


@command.command("delete", epilog=_DELETE_EXAMPLES)
@click.argument("name", metavar="TEAM")
@click.option("--delete-data", is_flag=True, help="Delete the team's volume claims, and with them its data.")
@click.option("--confirm", metavar="TEAM", help="The team's name once more; needed with --delete-data.")
@cluster_options
def delete_team(cluster: Cluster, name: str, delete_data: bool, confirm: str | None) -> int:
    """Delete the data of a team, declared or of the past; without --delete-data, say what would go.

    Nothing else of this program deletes data. What becomes of a volume is decided by the reclaim policy of its storage
    class.
    """
    if delete_data and confirm != name:
        raise click.UsageError(f"--delete-data needs --confirm {name}: data that was deleted does not come back.")
    kube, contract = cluster.open()
    try:
        # Who may delete the data of a declared team need not have the right to list namespaces.
        left = _left(kube, contract) if name in contract.teams else list_left_namespaces(kube, contract)
        plan = deletion.plan_deletion(kube, contract, name, left)
    except TeamError as error:
        raise click.UsageError(str(error)) from error
    if not delete_data:
        data_lines((clean(f"- {each.ref}: delete ({each.description})"), "red") for each in plan.claims)
        say(f"Nothing was deleted; {len(plan.claims)} would be by --delete-data --confirm {name}.")
        return Exit.OK
    for each, seen in deletion.delete_claims(kube, plan):
        data_lines([(clean(f"- {each.ref}: {seen}"), "red")])
    if plan.is_declared:
        say(f"Team {name} is still declared: the next bootstrap makes its claims anew, empty.")
    if plan.left_namespaces:
        say(f"Secrets and other objects are left: kubectl delete namespace {' '.join(plan.left_namespaces)}")
    return Exit.OK


def _left(kube: Kube, contract: Contract) -> tuple[LeftNamespace, ...]:
    """The namespaces that no team has any more, as far as the caller may know them."""
    try:
        return list_left_namespaces(kube, contract)
    except Forbidden as error:
        say(f"Namespaces that no team has any more are not looked for: {error}")
        return ()


def _as_json(team: Team) -> dict[str, object]:
    return team.model_dump(by_alias=True, mode="json")


def _row(name: str, team: Team) -> tuple[str, ...]:
    volumes = ", ".join(f"{volume.name} {volume.size}" for volume in team.volumes)
    cells = (name, team.namespace, team.registry.host, volumes, team.connection.id)
    return tuple(clean(cell) or "-" for cell in cells)
