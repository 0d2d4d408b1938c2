"""``platformctl contract``: the contract in a file, for the commands that ask no cluster."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options
from kpo_platform.cli.output import say
from kpo_platform.contract import get_saved_contract_file, parse
from kpo_platform.errors import ContractError
from kpo_platform.kube import read_contract_text

_PULL_EXAMPLES = """\b
Examples:
  platformctl contract pull                        # for lint and render on this machine
  platformctl contract pull -o contract.json       # to keep beside the DAGs, for CI
  platformctl contract pull -o - | jq .teams
"""


@click.group("contract", epilog="\b\nExample:\n  platformctl contract pull")
def command() -> None:
    """Keep the contract in a file."""


@command.command("pull", epilog=_PULL_EXAMPLES)
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE|-",
    help="Where to write it; - is standard output.  [default: where lint and render look for it]",
)
@cluster_options
def pull(cluster: Cluster, file: str | None) -> int:
    """Read the contract from the cluster and save it, as the chart wrote it. It holds no secrets."""
    text = read_contract_text(cluster.connect(), cluster.namespace)
    contract = parse(text)
    if file == "-":
        click.echo(text)
        return Exit.OK
    path = Path(file) if file else get_saved_contract_file()
    _save(path, text)
    say(f"✔ {path}: contract of chart {contract.chart_version}, teams: {', '.join(sorted(contract.teams)) or 'none'}")
    return Exit.OK


def _save(path: Path, text: str) -> None:
    """Write the file so that nobody ever reads half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(draft).chmod(0o644)  # as any file; mkstemp's are the owner's alone
        Path(draft).replace(path)
    except OSError as error:
        raise ContractError(
            f"The contract cannot be written to {path}: {error.strerror}; name another file with -o."
        ) from error
