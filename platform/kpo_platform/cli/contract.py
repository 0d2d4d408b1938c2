"""``platformctl contract``: save the contract to a file, for lint, render and run."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options
from kpo_platform.cli.output import write_message
from kpo_platform.contract import get_saved_contract_file, parse
from kpo_platform.errors import ContractError
from kpo_platform.kube import read_contract_text

_PULL_EXAMPLES = """\b
Examples:
  platformctl contract pull                        # for lint and render on this machine
  platformctl contract pull -o contract.json       # for CI, to commit beside the DAGs
  platformctl contract pull -o - | jq .teams
"""


@click.group("contract", epilog="\b\nExample:\n  platformctl contract pull")
def command() -> None:
    """Save the contract, the settings of all teams, to a file.

    The chart publishes the contract in a ConfigMap. lint and render need it as a file.
    """


@command.command("pull", epilog=_PULL_EXAMPLES)
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE|-",
    help="File to write; - is stdout.  [default: the file that lint and render read]",
)
@cluster_options
def pull(cluster: Cluster, file: str | None) -> int:
    """Save the contract of the release to a file, unchanged.

    The contract holds no secrets.
    """
    text = read_contract_text(cluster.connect(), cluster.namespace)
    contract = parse(text)
    if file == "-":
        click.echo(text)
        return Exit.OK
    path = Path(file) if file else get_saved_contract_file()
    _save(path, text)
    write_message(
        f"✔ {path}: contract of chart {contract.chart_version}, teams: {', '.join(sorted(contract.teams)) or 'none'}"
    )
    return Exit.OK


def _save(path: Path, text: str) -> None:
    """Write the file atomically."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(draft).chmod(0o644)  # mkstemp creates it with mode 0600
        Path(draft).replace(path)
    except OSError as error:
        raise ContractError(
            f"Cannot write the contract to {path}: {error.strerror}. Pass another file with -o."
        ) from error
