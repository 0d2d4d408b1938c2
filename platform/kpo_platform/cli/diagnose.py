"""``platformctl diagnose``: say why a pod does not run, or would not run, and what to do."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import click
from click.core import ParameterSource

from kpo_platform.cli.dag_options import convert_usage_errors
from kpo_platform.cli.diagnosis_output import PodDiagnosis, build_json, build_junit, build_sarif, format_diagnoses
from kpo_platform.cli.exit_codes import Exit
from kpo_platform.cli.options import Cluster, cluster_options_for
from kpo_platform.cli.output import format_count, style_lines, write_message
from kpo_platform.cli.pod_files import PodFile, read_pod_file
from kpo_platform.contract import Contract
from kpo_platform.doctor.planned_pods import PlannedPodReader
from kpo_platform.doctor.pod_reader import PodReader
from kpo_platform.errors import ClusterError, ContractError, Unreachable
from kpo_platform.kube import POD, Kube, read_contract
from kpo_platform.pod.task_mark import is_pod_of

_EXAMPLES = """\b
Examples:
  platformctl diagnose report-7f3a -n team-alpha         # any pod
  platformctl diagnose --dag report --task make          # the pods of a task
  platformctl diagnose --team alpha -o json              # all pods of a team
  platformctl diagnose report-7f3a -n team-alpha --watch
  platformctl diagnose -f pod.yaml                       # before the pod is created
  platformctl render dags/report.py make | platformctl diagnose -f -
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
        file: a file with pods that are not created yet; ``-`` for standard input.
    """

    pod: str | None
    team: str | None
    dag: str | None
    task: str | None
    run: str | None
    file: str | None

    def check(self, *, watch: bool) -> None:
        """Check that the selection names pods in one way.

        Args:
            watch: whether the diagnosis is repeated.

        Raises:
            UsageError: it names none, or in two ways, or pods of a file are to be watched.
        """
        if bool(self.dag) != bool(self.task):
            raise click.UsageError("--dag and --task belong together. Pass both.")
        if self.run and not self.dag:
            raise click.UsageError("--run requires --dag and --task.")
        if bool(self.pod) + bool(self.team or self.dag) + bool(self.file) != 1:
            raise click.UsageError("Pass the name of a pod, or --team, or --dag and --task, or -f FILE.")
        if self.file and watch:
            raise click.UsageError("Pods of a file are not created, so they do not change. Leave out --watch.")


@click.command("diagnose", epilog=_EXAMPLES)
@click.argument("pod", required=False)
@click.option("--team", metavar="TEAM", help="All pods of the team; those without a finding are only counted.")
@click.option("--dag", metavar="DAG_ID", help="The pods of a task of this DAG.")
@click.option("--task", metavar="TASK_ID", help="The task of --dag.")
@click.option("--run", metavar="RUN_ID", help="Only the pods of this DAG run.")
@click.option(
    "-f",
    "--file",
    metavar="FILE",
    help="The pods of a manifest, before they are created; - reads standard input.",
)
@click.option("--watch", is_flag=True, help="Repeat every 2 seconds until the pods have ended or run.")
@click.option(
    "--release-namespace",
    metavar="NAME",
    default="airflow",
    show_default=True,
    help="Namespace of the release, where the contract is.",
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json", "sarif", "junit"]),
    default="text",
    show_default=True,
    help="Output format.",
)
@cluster_options_for(300, "Namespace of POD; with -f, of the pods that name none.")
def command(
    cluster: Cluster,
    pod: str | None,
    team: str | None,
    dag: str | None,
    task: str | None,
    run: str | None,
    file: str | None,
    watch: bool,
    release_namespace: str,
    output: str,
) -> int:
    """Say why a pod does not run or has failed, or would not run, with the evidence and what to do.

    Changes nothing. Exits with 1 if there are findings, otherwise with 3 if something could not be looked at.
    """
    selection = Selection(pod, team, dag, task, run, file)
    selection.check(watch=watch)
    pods = read_pod_file(file, _get_given_namespace(cluster)) if file else None
    kube = cluster.connect()
    kube.role_prefix = _ROLE
    contract, written = _read_contract(kube, release_namespace), None
    while True:
        reader = PodReader(kube, contract)
        if pods is not None:
            found = _diagnose_planned(kube, reader, pods)
        else:
            with convert_usage_errors():
                found = list(_diagnose_selected(kube, reader, contract, selection, cluster.namespace))
        if (text := _format(found, output, hides_healthy=bool(team and not dag))) != written:
            click.echo(text, nl=False)
            write_message(_summarize(found))
            written = text
        if not watch or not any(each.is_pending for each in found):
            return _choose_exit(found)
        time.sleep(_WATCH_S)


def _get_given_namespace(cluster: Cluster) -> str:
    """Return the namespace of the command line; empty if it has none."""
    source = click.get_current_context().get_parameter_source("namespace")
    return "" if source is ParameterSource.DEFAULT else cluster.namespace


def _read_contract(kube: Kube, namespace: str) -> Contract | None:
    try:
        return read_contract(kube, namespace)
    except Unreachable:
        raise
    except (ClusterError, ContractError) as error:
        why = str(error).replace(" --namespace", " --release-namespace")  # -n is the namespace of the pod
        write_message(f"! Without the contract, which tells sizes and policies of the teams: {why}", "yellow")
        return None


def _diagnose_planned(kube: Kube, reader: PodReader, file: PodFile) -> list[PodDiagnosis]:
    planned = PlannedPodReader(kube, reader, file.others)
    return [PodDiagnosis(pod, planned.diagnose(pod)) for pod in file.pods]


def _diagnose_selected(
    kube: Kube, reader: PodReader, contract: Contract | None, selection: Selection, namespace: str
) -> Iterator[PodDiagnosis]:
    if selection.pod:
        pod = kube.get(POD, selection.pod, namespace)
        yield PodDiagnosis(pod, reader.diagnose(pod))
        return
    if contract is None:
        raise ContractError("The teams' namespaces are in the contract, which cannot be read", "Pass POD and -n.")
    teams = [contract.team(selection.team)] if selection.team else list(contract.teams.values())
    for team in teams:
        pods = reader.find_pods(team.namespace, "dag_id" if selection.dag else "")
        if selection.dag and selection.task:
            pods = [pod for pod in pods if is_pod_of(pod, selection.dag, selection.task, selection.run or "")]
        yield from map(PodDiagnosis, pods, reader.diagnose_all(pods))


def _format(found: list[PodDiagnosis], output: str, *, hides_healthy: bool) -> str:
    if output == "text":
        return "".join(style_lines(format_diagnoses(found, hides_healthy=hides_healthy)))
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
