"""``platformctl render``: show the pod of a task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import yaml

from kpo_platform.cli.dag_options import contract_option, convert_usage_errors, dag_run_options
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.output import write_json, write_message, write_refusals
from kpo_platform.contract import find_contract_file
from kpo_platform.errors import PodError
from kpo_platform.offline.client import OfflineClient, Sources

_EXAMPLES = """\b
Examples:
  platformctl render dags/hello_team.py hello
  platformctl render hello_team hello --folder dags      # a DAG by its id
  platformctl render report.py make --team alpha         # in the repository of team alpha
  platformctl render dags/hello_team.py hello --run-id a > before.yaml
"""


@click.command("render", epilog=_EXAMPLES)
@dag_run_options
@contract_option
@click.option(
    "-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True, help="Output format."
)
def command(sources: Sources, request: dict[str, Any], contract_file: Path | None, output: str) -> int:
    """Show the pod of a task. DAG is a file or a DAG id.

    Shows the pod that the task's operator would send to the cluster, but needs no cluster. The pod's name ends in a
    random suffix. Exits with 1 if the pod is refused.
    """
    request["run_settings"]["run_id"] = request["run_settings"]["run_id"] or "rendered"
    with convert_usage_errors():
        client = OfflineClient.create(find_contract_file(contract_file), sources)
        write_message(f"► Contract of chart {client.contract.chart_version}: {client.contract_file}")
        try:
            pod = client.send_request("render", request)
        except PodError as error:
            write_refusals(error)
            return Exit.FINDINGS
    if output == "json":
        write_json(pod)
    else:
        click.echo(yaml.dump(pod, Dumper=_Dumper, sort_keys=False, allow_unicode=True), nl=False)
    return Exit.OK


class _Dumper(yaml.SafeDumper):
    """Writes multi-line strings, such as scripts, as block scalars."""


def _represent_str(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_str)
