"""``platformctl render``: the pod of a task, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from kpo_platform.cli.dag_options import attempt_options, contract_option
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.output import data_json, refused, say
from kpo_platform.contract import file_at_hand
from kpo_platform.errors import PodError
from kpo_platform.offline.client import Offline, Sources, told

_EXAMPLES = """\b
Examples:
  platformctl render dags/hello_team.py hello
  platformctl render hello_team hello --folder dags      # a DAG by its id
  platformctl render report.py make --team alpha         # in the repository of team alpha
  platformctl render dags/hello_team.py hello --run-id a > before.yaml
"""


@click.command("render", epilog=_EXAMPLES)
@attempt_options
@contract_option
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Form of the pod."
)
def command(sources: Sources, request: dict[str, Any], contract_file: Path | None, output: str) -> int:
    """Show the pod of TASK of DAG (a file, or a DAG's id) as its operator would send it to the cluster.

    Asks no cluster. Its name ends in a random suffix, as always. Exits with 1 when the pod is refused.
    """
    request["attempt"]["run_id"] = request["attempt"]["run_id"] or "rendered"
    with told():
        offline = Offline.of(file_at_hand(contract_file), sources)
        say(f"► Contract of chart {offline.contract.chart_version}: {offline.contract_file}")
        try:
            pod = offline.ask("render", request)
        except PodError as error:
            refused(error)
            return Exit.FINDINGS
    if output == "json":
        data_json(pod)
    else:
        click.echo(yaml.dump(pod, Dumper=_Dumper, sort_keys=False, allow_unicode=True), nl=False)
    return Exit.OK


class _Dumper(yaml.SafeDumper):
    """Writes scripts as people do, line by line."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
