"""``platformctl run``: the pod of a task, now, from a person's machine."""

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

from kpo_platform.cli.dag_options import attempt_options
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options_for, output_option
from kpo_platform.cli.output import clean, data_json, data_lines, refused, say
from kpo_platform.errors import PlatformError, PodError
from kpo_platform.kube import find_kubeconfig, read_contract_text
from kpo_platform.offline.client import Offline, Sources, told
from kpo_platform.offline.environment import by_kubeconfig, connections

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
@attempt_options
@click.option(
    "--contract",
    "contract_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The contract, for who may not read it in the cluster.  [default: the cluster's]",
)
@output_option
@cluster_options_for(3600)
def command(
    cluster: Cluster, sources: Sources, request: dict[str, Any], contract_file: Path | None, output: str
) -> int:
    """Run the pod of TASK of DAG (a file, or a DAG's id) now, with your own rights, and show its log.

    It is the pod that render shows, in the team's namespace; Airflow's services have no part in it, and know nothing of
    it. Ctrl-C, and the end of --timeout, remove the pod. Exits with 1 when the pod is refused or its program fails.
    """
    until = time.time() + cluster.timeout
    request["attempt"]["run_id"] = request["attempt"]["run_id"] or f"run__{uuid4().hex[:8]}"
    with told(), _contract(cluster, contract_file) as file:
        offline = Offline.of(file, sources)
        way = by_kubeconfig(find_kubeconfig(cluster.kubeconfig), cluster.context)
        pod = _Pod()
        try:
            more = {**connections(offline.contract, way), **_PLAIN_LOG}
            outcome = offline.ask("run", {**request, "until": until}, more, say, pod.learn)
        except PodError as error:
            refused(error)
            return Exit.FINDINGS
        except KeyboardInterrupt:
            pod.warn()
            return Exit.INTERRUPTED
        except PlatformError:
            pod.warn()
            raise
    return _report(outcome, pod, output)


@contextmanager
def _contract(cluster: Cluster, file: Path | None) -> Iterator[Path]:
    """The contract in a file: the one that was named, or the cluster's as it is now."""
    if file:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="kpo-platform-") as folder:
        copy = Path(folder, "contract.json")
        copy.write_text(read_contract_text(cluster.connect(), cluster.namespace), encoding="utf-8")
        yield copy


@dataclass
class _Pod:
    """What is known of the pod."""

    where: dict[str, str] = field(default_factory=dict)

    def learn(self, news: dict[str, str]) -> None:
        """Its name, just before it is made; nothing, when it was refused."""
        self.where = news
        if news:
            say(f"► Pod {self}")

    def warn(self) -> None:
        """Say that it may be there, where nobody knows what became of it."""
        if self.where:
            name, namespace = self.where["name"], self.where["namespace"]
            say(f"! The pod may still be there; remove it: kubectl -n {namespace} delete pod {name}", "yellow")

    def __str__(self) -> str:
        return f"{self.where['namespace']}/{self.where['name']}" if self.where else "(none)"


def _report(outcome: dict[str, Any], pod: _Pod, output: str) -> Exit:
    """Show how it ended."""
    state, why = outcome["state"], outcome["why"]
    if output == "json":
        data_json({"pod": pod.where or None, "state": state, "why": why, "result": outcome["result"]})
    else:
        sign, colour = ("✔", None) if _EXITS[state] is Exit.OK else ("✗", "red")
        data_lines([(clean(f"{sign} {pod}: {state}{f'. {why}' if why else ''}"), colour)])
        if outcome["result"] is not None:
            click.echo(json.dumps(outcome["result"], indent=2))
    if outcome["remains"]:
        pod.warn()
    elif state in ("stopped", "late") and pod.where:
        say(f"The pod {pod} is removed.")
    return _EXITS[state]
