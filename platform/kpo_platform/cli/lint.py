"""``platformctl lint``: check DAG files."""

from __future__ import annotations

from pathlib import Path

import click

from kpo_platform.cli.dag_options import contract_option, convert_usage_errors, team_option
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.findings_output import build_json, build_sarif, format_findings
from kpo_platform.cli.output import format_count, write_json, write_lines, write_message
from kpo_platform.contract import Isolation, find_contract_file
from kpo_platform.finding import Finding, LocatedFinding
from kpo_platform.offline.client import OfflineClient, Sources

_EXAMPLES = """\b
Examples:
  platformctl lint dags                                    # dags/alpha holds the DAGs of team alpha
  platformctl lint . --team alpha                          # the repository of team alpha
  platformctl lint dags --contract contract.json -o sarif > lint.sarif
"""


@click.command("lint", epilog=_EXAMPLES)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@team_option
@contract_option
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif"]),
    default="text",
    show_default=True,
    help="Output format.",
)
def command(folder: Path, team: str | None, contract_file: Path | None, output: str) -> int:
    """Check the DAG files of a folder.

    Reports, with file and line, each problem for which Airflow or the platform would refuse a DAG or a task. Imports
    the files, but needs no cluster and no database. Values known only in a run (templates, results of other tasks) are
    not checked before the run. Exits with 1 if there are findings, and with 3 without a contract.
    """
    with convert_usage_errors():
        client = OfflineClient.create(find_contract_file(contract_file), Sources(folder, team=team))
    write_message(f"► Contract of chart {client.contract.chart_version}: {client.contract_file}")
    if sharing := _describe_sharing(client.contract.isolation):
        write_message(sharing)
    result = client.send_request("lint", {})
    findings = [
        LocatedFinding(str(folder / located["file"]), located["line"], Finding.from_json(located["finding"]))
        for located in result["findings"]
    ]
    if output == "text":
        write_lines(format_findings(findings))
    else:
        write_json(build_json(findings) if output == "json" else build_sarif(findings))
    write_message(f"{format_count(len(findings), 'finding')} in {format_count(result['files'], 'DAG file')}.")
    return Exit.FINDINGS if findings else Exit.OK


def _describe_sharing(isolation: Isolation) -> str:
    """Describe what every team may do with names that no team owns; empty if nothing."""
    if not isolation.enabled or isolation.unlisted == "none":
        return ""
    access = "read and change" if isolation.unlisted == "write" else "read"
    return (
        f"! Every team may {access} connections, variables and assets whose names no team owns. Begin the names of "
        "yours with the team's name, or ask the platform team to set isolation.unlisted to none."
    )
