"""``platformctl version``: the versions of platformctl, the chart and the contract."""

from __future__ import annotations

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options, output_option
from kpo_platform.cli.output import sanitize, write_json, write_lines
from kpo_platform.contract import VERSION
from kpo_platform.release import SOURCE_VERSION, get_package_version

_EXAMPLES = """\b
Examples:
  platformctl version
  platformctl version --client      # without a cluster
"""


@click.command("version", epilog=_EXAMPLES)
@click.option("--client", is_flag=True, help="Show only the version of platformctl; needs no cluster.")
@output_option
@cluster_options
def command(cluster: Cluster, client: bool, output: str) -> int:
    """Show the versions of platformctl, the chart and the contract.

    Exits with 1 if platformctl and chart have different versions, and with 3 if the contract cannot be read; the
    version of platformctl is shown in any case.
    """
    own_version = get_package_version()
    shown_version = "from source" if own_version == SOURCE_VERSION else own_version
    versions = {"platformctl": shown_version, "contract": str(VERSION)}
    is_compatible = True
    try:
        if not client:
            _, contract = cluster.open()
            is_compatible = own_version in (SOURCE_VERSION, contract.chart_version)
            fits = "yes" if is_compatible else "no, upgrade both to the same version"
            versions |= {"chart": contract.chart_version, "fits": fits}
    finally:
        _show_versions(versions, output)  # also after an error, because bug reports need it
    return Exit.OK if is_compatible else Exit.FINDINGS


def _show_versions(versions: dict[str, str], output: str) -> None:
    if output == "json":
        write_json(versions)
    else:
        write_lines((sanitize(f"{component} {version}"), None) for component, version in versions.items())
