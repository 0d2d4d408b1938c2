"""``platformctl run``: run the pod of a task from the user's machine."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import click

from kpo_platform.cli.dag_options import convert_usage_errors, dag_run_options
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options_for, output_option
from kpo_platform.cli.output import sanitize, write_json, write_lines, write_message, write_refusals
from kpo_platform.errors import PlatformError, PodError
from kpo_platform.kube import find_kubeconfig, read_contract_text
from kpo_platform.offline.client import OfflineClient, Sources
from kpo_platform.offline.environment import build_cluster_extra, build_connections

_EXAMPLES = """\b
Examples:
  platformctl run dags/hello_team.py hello
  platformctl run hello_team hello --folder dags         # a DAG by its id
  platformctl run report.py make --params '{"day": 1}' --xcom 'count={"rows": 12}'
  platformctl run report.py make --contract contract.json -o json
"""

_PLAIN_LOG = {
    "AIRFLOW__LOGGING__LOG_FORMAT": "%(message)s",
    "AIRFLOW__LOGGING__COLORED_CONSOLE_LOG": "False",
}

_EXITS = {
    "success": Exit.OK,
    "skipped": Exit.OK,
    "failed": Exit.FINDINGS,
    "late": Exit.INCOMPLETE,
    "stopped": Exit.INTERRUPTED,
}


@click.command("run", epilog=_EXAMPLES)
@dag_run_options
@click.option(
    "--contract",
    "contract_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="File of the contract, if you cannot read the contract in the cluster.  [default: the release's contract]",
)
@output_option
@cluster_options_for(3600)
def command(
    cluster: Cluster, sources: Sources, request: dict[str, Any], contract_file: Path | None, output: str
) -> int:
    """Run the pod of a task with your own rights, and show its log. DAG is a file or a DAG id.

    Creates the pod that render shows, in the team's namespace. Airflow's services are not involved and do not record
    the run. Ctrl-C and --timeout delete the pod. Exits with 1 if the pod is refused or its program fails.
    """
    until = time.time() + cluster.timeout
    request["run_settings"]["run_id"] = request["run_settings"]["run_id"] or f"run__{uuid4().hex[:8]}"
    with convert_usage_errors(), _provide_contract(cluster, contract_file) as file:
        client = OfflineClient.create(file, sources)
        extra = build_cluster_extra(find_kubeconfig(cluster.kubeconfig), cluster.context)
        pod = _Pod()
        try:
            environment = {**build_connections(client.contract, extra), **_PLAIN_LOG}
            outcome = client.send_request("run", {**request, "until": until}, environment, write_message, pod.set_name)
        except PodError as error:
            write_refusals(error)
            return Exit.FINDINGS
        except KeyboardInterrupt:
            pod.warn()
            return Exit.INTERRUPTED
        except PlatformError:
            pod.warn()
            raise
    return _report_outcome(outcome, pod, output)


@contextmanager
def _provide_contract(cluster: Cluster, file: Path | None) -> Iterator[Path]:
    """Provide the given contract file, or a temporary copy of the cluster's contract."""
    if file:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="kpo-platform-") as folder:
        copy = Path(folder, "contract.json")
        copy.write_text(read_contract_text(cluster.connect(), cluster.namespace), encoding="utf-8")
        yield copy


@dataclass
class _Pod:
    """The name of the pod; empty until the pod is created."""

    name: dict[str, str] = field(default_factory=dict)

    def set_name(self, name: dict[str, str]) -> None:
        """Set namespace and name just before the creation; empty if the API server rejected the pod."""
        self.name = name
        if name:
            write_message(f"► Pod {self}")

    def warn(self) -> None:
        """Warn that the pod may still exist."""
        if self.name:
            name, namespace = self.name["name"], self.name["namespace"]
            write_message(f"! The pod may still exist. Delete it: kubectl -n {namespace} delete pod {name}", "yellow")

    def __str__(self) -> str:
        return f"{self.name['namespace']}/{self.name['name']}" if self.name else "(none)"


def _report_outcome(outcome: dict[str, Any], pod: _Pod, output: str) -> Exit:
    state, why = outcome["state"], outcome["why"]
    if output == "json":
        write_json({"pod": pod.name or None, "state": state, "why": why, "result": outcome["result"]})
    else:
        sign, colour = ("✔", None) if _EXITS[state] is Exit.OK else ("✗", "red")
        write_lines([(sanitize(f"{sign} {pod}: {state}{f'. {why}' if why else ''}"), colour)])
        if outcome["result"] is not None:
            click.echo(json.dumps(outcome["result"], indent=2))
    if outcome["pod_may_exist"]:
        pod.warn()
    elif state in ("stopped", "late") and pod.name:
        write_message(f"Deleted pod {pod}.")
    return _EXITS[state]
