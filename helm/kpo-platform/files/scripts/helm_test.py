"""Run a pod in every team's namespace as a task of the team would, and try what the team's token opens.

Runs by `helm test`, as one of the accounts that start pods for the teams, with the package that Airflow has. Each
team's pod is made, waited for and read by TeamPodOperator itself; one thing is added to it, a token of its account,
which it hands over as its result. With that token the team's own namespace, another team's and the release's have to be
closed. Prints one line per team, never a token; a token ends with its pod.

Environment:
    KPO_PLATFORM_CONTRACT: the file of the contract.
"""

from __future__ import annotations

import itertools
import json
import os
import secrets
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow.sdk import DAG
from kubernetes import client, config

from kpo_platform import TeamPodOperator, contract
from kpo_platform.pod.xcom import build_connection_extra

AT_ONCE = 4
DAG_ID = "helm_test"
TOKEN = "/var/run/kpo-platform/token"
SAY = f"""printf '{{"token": "%s"}}' "$(cat {TOKEN})" > /airflow/xcom/return.json; echo "a pod of team $TEAM ran" """

REFUSED = 403


class TaskInstance:
    """As much of a task instance as the operator asks for."""

    def __init__(self, task: str) -> None:
        self.dag_id, self.task_id, self.run_id = DAG_ID, task, f"helm_test__{secrets.token_hex(4)}"
        self.try_number, self.map_index = 1, -1

    def xcom_push(self, key: str, value: Any) -> None:
        """Nobody reads it."""


class TryOut(TeamPodOperator):
    """A task whose pod has a token of its account, by which the team can be asked for what it may do."""

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> client.V1Pod:
        """The pod as every task of the team has it, and the token."""
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        folder, _, file = TOKEN.rpartition("/")
        token = client.V1ServiceAccountTokenProjection(path=file, expiration_seconds=600)
        sources = [client.V1VolumeProjection(service_account_token=token)]
        volume = client.V1Volume(name="token", projected=client.V1ProjectedVolumeSource(sources=sources))
        pod.spec.volumes = [*(pod.spec.volumes or []), volume]
        base = pod.spec.containers[0]
        mount = client.V1VolumeMount(name="token", mount_path=folder, read_only=True)
        base.volume_mounts = [*(base.volume_mounts or []), mount]
        return pod


class Tried:
    """One team's try: its pod, and the token that came back from it."""

    def __init__(self, name: str, team: contract.Team, image: str) -> None:
        self.name, self.team, self.token = name, team, ""
        self._task = TryOut(
            dag=DAG(DAG_ID, schedule=None),
            task_id=f"try-{name}",
            team=name,
            image=image,
            cmds=["sh", "-c"],
            arguments=[SAY if team.rbac.exec else 'echo "a pod of team $TEAM ran"'],
            env_vars={"TEAM": name},
            do_xcom_push=team.rbac.exec,
            deferrable=False,
            on_finish_action="keep_pod",
        )

    def run(self) -> str:
        """Run the pod; the text says what went wrong, if anything did."""
        instance = TaskInstance(self._task.task_id)
        context: Any = {"ti": instance, "task_instance": instance, "task": self._task, "dag": self._task.dag}
        context |= {"run_id": instance.run_id}
        try:
            result = self._task.execute(context)
            self.token = result["token"] if self.team.rbac.exec else ""
        except Exception as error:  # whatever it is, the other teams are tried all the same
            return f"team {self.name}: its pod did not do what it should: {error}"
        return ""

    def seen(self) -> str:
        """What the try showed."""
        if not self.team.rbac.exec:
            return "a pod was started; with rbac.exec false it could hand over no result, and no token to try"
        return "its pod handed over its result, and its token was tried" if self.token else "its pod gave no result"

    def remove(self) -> None:
        """Delete the pod, and with it the token."""
        if self._task.pod:
            self._task.pod_manager.delete_pod(self._task.pod)


def api(token: str) -> client.ApiClient:
    """The cluster's API under a token."""
    settings = client.Configuration()
    config.load_incluster_config(client_configuration=settings)
    settings.refresh_api_key_hook = None
    settings.api_key = {"authorization": f"Bearer {token}"}
    return client.ApiClient(settings)


def opened(tried: Tried, namespaces: list[str]) -> Iterator[str]:
    """What a team's token opens that should be closed to it, and whether it is the team's at all."""
    with api(tried.token) as asked:
        review = client.AuthenticationV1Api(asked).create_self_subject_review(client.V1SelfSubjectReview())
        expected = f"system:serviceaccount:{tried.team.namespace}:{tried.team.service_account.name}"
        if review.status.user_info.username != expected:
            yield f"team {tried.name}: its pods run as {review.status.user_info.username}, not as {expected}"
        core = client.CoreV1Api(asked)
        for namespace in namespaces:
            for what in ("pod", "secret"):
                try:
                    getattr(core, f"list_namespaced_{what}")(namespace, limit=1)
                except client.ApiException as error:
                    if error.status != REFUSED:
                        yield f"team {tried.name}: listing {what}s in {namespace} gave {error.status}, not {REFUSED}"
                else:
                    yield f"team {tried.name}: its token lists the {what}s of {namespace}"


def connect(platform: contract.Contract) -> None:
    """Give this process the teams' connections, as they are for a part of Airflow inside the cluster."""
    content = {"conn_type": "kubernetes", "extra": build_connection_extra(platform.xcom_sidecar)}
    for name in {team.connection.id for team in platform.teams.values()}:
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(content)


def problems(platform: contract.Contract, teams: list[Tried]) -> Iterator[str]:
    """Try every team, then every team's token on its own namespace, on the next team's and on the release's."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield from filter(None, pool.map(Tried.run, teams))
    for tried, other in zip(teams, itertools.islice(itertools.cycle(teams), 1, None), strict=False):
        if tried.token:
            yield from opened(tried, [tried.team.namespace, other.team.namespace, platform.release.namespace])


def main() -> None:
    """Try all teams and say what was found."""
    platform = contract.load()
    connect(platform)
    teams = [Tried(name, team, platform.xcom_sidecar.image) for name, team in platform.teams.items()]
    try:
        found = list(problems(platform, teams))
    finally:
        for tried in teams:
            tried.remove()
    for tried in teams:
        print(f"team {tried.name}: {tried.seen()}", flush=True)  # before what comes by stderr
    if found:
        sys.exit("\n".join(found))


if __name__ == "__main__":
    main()
