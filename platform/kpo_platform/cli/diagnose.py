"""``platformctl diagnose``: say why a pod does not run, and what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click

from kpo_platform.cli.dag_options import convert_usage_errors
from kpo_platform.cli.diagnosis_output import PodDiagnosis, build_json, build_junit, build_sarif, format_diagnosis
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options
from kpo_platform.cli.output import format_count, style_lines, write_message
from kpo_platform.contract import Contract
from kpo_platform.doctor.pod_reader import PodReader
from kpo_platform.errors import ClusterError, ContractError
from kpo_platform.kube import POD, Kube, Object, read_contract
from kpo_platform.pod.task_mark import is_pod_of

_EXAMPLES = """\b
Examples:
  platformctl diagnose report-7f3a -n team-alpha         # any pod
  platformctl diagnose --dag report --task make          # the pods of a task
  platformctl diagnose --team alpha -o json              # all pods of a team that do not run or have failed
  platformctl diagnose report-7f3a -n team-alpha --watch
"""
_WATCH_S = 2.0
_ROLE = "team-developer"
_FORMATS = {"json": build_json, "sarif": build_sarif}


@dataclass(frozen=True)
class Selection:
    """The pods to diagnose.

    Attributes:
        pod: the name of one pod.
        team: the team whose pods are diagnosed.
        dag: the DAG of a task.
        task: the task.
        run: the DAG run; empty for all.
    """

    pod: str | None
    team: str | None
    dag: str | None
    task: str | None
    run: str | None

    def check(self) -> None:
        """Check that the selection names pods in one way.

        Raises:
            UsageError: it names none, or in two ways.
        """
        if bool(self.dag) != bool(self.task):
            raise click.UsageError("--dag and --task belong together. Pass both.")
        if self.run and not self.dag:
            raise click.UsageError("--run requires --dag and --task.")
        if bool(self.pod) + bool(self.team or self.dag) != 1:
            raise click.UsageError("Pass the name of a pod, or --team, or --dag and --task.")


@click.command("diagnose", epilog=_EXAMPLES)
@click.argument("pod", required=False)
@click.option("--team", metavar="TEAM", help="All pods of the team that do not run or have failed.")
@click.option("--dag", metavar="DAG_ID", help="The pods of a task of this DAG.")
@click.option("--task", metavar="TASK_ID", help="The task of --dag.")
@click.option("--run", metavar="RUN_ID", help="Only the pods of this DAG run.")
@click.option("--watch", is_flag=True, help="Repeat every 2 seconds until the pods have ended or run.")
@click.option(
    "--release-namespace", metavar="NAME", default="airflow", show_default=True, help="Namespace of the release."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "junit"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@cluster_options
def command(
    cluster: Cluster,
    pod: str | None,
    team: str | None,
    dag: str | None,
    task: str | None,
    run: str | None,
    watch: bool,
    release_namespace: str,
    output: str,
) -> int:
    """Say why a pod does not run or has failed, with the evidence and what to do.

    Changes nothing. Exits with 1 if there are findings, otherwise with 3 if something could not be looked at.
    """
    selection = Selection(pod, team, dag, task, run)
    selection.check()
    kube = cluster.connect()
    kube.role_prefix = _ROLE
    contract = _read_contract(kube, release_namespace)
    reader, written = PodReader(kube, contract), None
    while True:
        with convert_usage_errors():
            pods = list(_find_pods(kube, reader, contract, selection, cluster.namespace))
        found = [PodDiagnosis(pod, reader.diagnose(pod)) for pod in pods]
        if (text := _format(found, output)) != written:
            click.echo(text, nl=False)
            write_message(_summarize(found))
            written = text
        if not watch or not any(each.is_pending for each in found):
            return _choose_exit(found)
        time.sleep(_WATCH_S)


def _read_contract(kube: Kube, namespace: str) -> Contract | None:
    try:
        return read_contract(kube, namespace)
    except (ClusterError, ContractError) as error:
        write_message(f"! Without the contract, which tells sizes and policies of the teams: {error}", "yellow")
        return None


def _find_pods(
    kube: Kube, reader: PodReader, contract: Contract | None, selection: Selection, namespace: str
) -> Iterator[Object]:
    if selection.pod:
        yield kube.get(POD, selection.pod, namespace)
        return
    if contract is None:
        raise ContractError("The teams' namespaces are in the contract, which cannot be read", "Pass POD and -n.")
    teams = [contract.team(selection.team)] if selection.team else list(contract.teams.values())
    for team in teams:
        pods = reader.find_pods(team.namespace, "dag_id" if selection.dag else "")
        if selection.dag and selection.task:
            pods = [pod for pod in pods if is_pod_of(pod, selection.dag, selection.task, selection.run or "")]
        yield from pods


def _format(found: list[PodDiagnosis], output: str) -> str:
    if output == "text":
        return "".join(style_lines(line for each in found for line in format_diagnosis(each)))
    if output == "junit":
        return build_junit(found) + "\n"
    return json.dumps(_FORMATS[output](found), indent=2) + "\n"


def _summarize(found: list[PodDiagnosis]) -> str:
    count = sum(len(each.diagnosis.causes) for each in found)
    return f"{format_count(count, 'finding')} in {format_count(len(found), 'pod')}."


def _choose_exit(found: list[PodDiagnosis]) -> Exit:
    if any(each.diagnosis.causes for each in found):
        return Exit.FINDINGS
    return Exit.INCOMPLETE if any(each.diagnosis.could_not_look for each in found) else Exit.OK
