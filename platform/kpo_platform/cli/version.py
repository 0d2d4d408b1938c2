"""``platformctl version``: the versions of this program and of the release, and whether they fit."""

from __future__ import annotations

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options, output_option
from kpo_platform.cli.output import clean, data_json, data_lines
from kpo_platform.contract import VERSION
from kpo_platform.release import SOURCE_VERSION, get_package_version

_EXAMPLES = """\b
Examples:
  platformctl version
  platformctl version --client      # without asking a cluster
"""


@click.command("version", epilog=_EXAMPLES)
@click.option("--client", is_flag=True, help="Only this program's version; ask no cluster.")
@output_option
@cluster_options
def command(cluster: Cluster, client: bool, output: str) -> int:
    """Show the versions of this program, the chart and the contract between them.

    Exits with 1 when program and chart are of different versions, and with 3 when the contract cannot be read; this
    program's own versions are shown all the same.
    """
    own = get_package_version()
    versions = {"platformctl": "from source" if own == SOURCE_VERSION else own, "contract": str(VERSION)}
    fits = True
    try:
        if not client:
            _, contract = cluster.open()
            fits = own in (SOURCE_VERSION, contract.chart_version)
            versions |= {"chart": contract.chart_version, "fits": "yes" if fits else "no, upgrade both to one version"}
    finally:
        _show(versions, output)  # this program's own in any case: whoever asks for help is asked for it
    return Exit.OK if fits else Exit.FINDINGS


def _show(versions: dict[str, str], output: str) -> None:
    if output == "json":
        data_json(versions)
    else:
        data_lines((clean(f"{part} {each}"), None) for part, each in versions.items())
