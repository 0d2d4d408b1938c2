"""``platformctl lint``: everything that speaks against DAG files, before Airflow reads them."""

from __future__ import annotations

from pathlib import Path

import click

from kpo_platform.cli.dag_options import contract_option, team_option
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.findings_output import Located, as_json, as_lines, as_sarif
from kpo_platform.cli.output import data_json, data_lines, say
from kpo_platform.contract import file_at_hand
from kpo_platform.finding import Finding
from kpo_platform.offline.client import Offline, Sources, told

_EXAMPLES = """\b
Examples:
  platformctl lint dags                                    # folders of a team's name in it hold that team's DAGs
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
    help="Form of the findings.",
)
def command(folder: Path, team: str | None, contract_file: Path | None, output: str) -> int:
    """Find everything in the DAG files of FOLDER that Airflow or the platform would refuse, with file and line.

    Asks no cluster and no database; imports the files. What only a run knows (Jinja, results of other tasks) is judged
    in the run. Exits with 1 when anything is found, and with 3 without a contract.
    """
    with told():
        offline = Offline.of(file_at_hand(contract_file), Sources(folder, team=team))
    say(f"► Contract of chart {offline.contract.chart_version}: {offline.contract_file}")
    result = offline.ask("lint", {})
    found = [
        Located(str(folder / each["file"]), each["line"], Finding(**each["finding"])) for each in result["findings"]
    ]
    if output == "text":
        data_lines(as_lines(found))
    else:
        data_json(as_json(found) if output == "json" else as_sarif(found))
    say(f"{len(found)} findings in {result['files']} DAG files.")
    return Exit.FINDINGS if found else Exit.OK
