"""Start a pod in every team's namespace as a task would, and test the rights of the team's token.

`helm test` runs this program with a service account that may start pods for the teams, and with Airflow's copy of the
package. TeamPodOperator creates each pod, waits for it and reads its result. The only addition is a token of the pod's
service account, which the pod returns as its result. The token must not allow access to the team's own namespace, to
another team's namespace or to the release's namespace. Prints one line per team, never a token; the token expires with
its pod.

Environment:
    KPO_PLATFORM_CONTRACT: file of the contract.
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

MAX_PARALLEL_PODS = 4
DAG_ID = "helm_test"
TOKEN_FILE = "/var/run/kpo-platform/token"
SAY_HELLO = 'echo "a pod of team $TEAM ran"'
RETURN_TOKEN = f"""printf '{{"token": "%s"}}' "$(cat {TOKEN_FILE})" > /airflow/xcom/return.json; {SAY_HELLO}"""

FORBIDDEN = 403


class TaskInstance:
    """The part of a task instance that the operator uses."""

    def __init__(self, task: str) -> None:
        self.dag_id, self.task_id, self.run_id = DAG_ID, task, f"helm_test__{secrets.token_hex(4)}"
        self.id, self.try_number, self.map_index = self.run_id, 1, -1

    def xcom_push(self, key: str, value: Any) -> None:
        """Ignore the result; the caller gets it from ``execute``."""


class TokenPodOperator(TeamPodOperator):
    """A task whose pod has a token of its service account."""

    def build_pod_request_obj(self, context: Any = None, *, dry_run: bool = False) -> client.V1Pod:
        """Build the pod of a task and add the token."""
        pod = super().build_pod_request_obj(context, dry_run=dry_run)
        folder, _, file = TOKEN_FILE.rpartition("/")
        token = client.V1ServiceAccountTokenProjection(path=file, expiration_seconds=600)
        sources = [client.V1VolumeProjection(service_account_token=token)]
        volume = client.V1Volume(name="token", projected=client.V1ProjectedVolumeSource(sources=sources))
        pod.spec.volumes = [*(pod.spec.volumes or []), volume]
        base = pod.spec.containers[0]
        mount = client.V1VolumeMount(name="token", mount_path=folder, read_only=True)
        base.volume_mounts = [*(base.volume_mounts or []), mount]
        return pod


class TeamTest:
    """The test of one team: its pod, and the token that the pod returns."""

    def __init__(self, name: str, team: contract.Team, image: str) -> None:
        self.name, self.team, self.token = name, team, ""
        self._task = TokenPodOperator(
            dag=DAG(DAG_ID, schedule=None),
            task_id=f"try-{name}",
            team=name,
            image=image,
            cmds=["sh", "-c"],
            arguments=[RETURN_TOKEN if team.rbac.exec else SAY_HELLO],
            env_vars={"TEAM": name},
            do_xcom_push=team.rbac.exec,  # through the sidecar: a message would show the token to who may get pods
            deferrable=False,
            on_finish_action="keep_pod",
            schedule_timeout_seconds=team.policy.startup_timeout,  # a test reports a full quota instead of waiting
        )

    def run(self) -> str:
        """Run the pod and return the problem; an empty string if there is none."""
        instance = TaskInstance(self._task.task_id)
        context: Any = {"ti": instance, "task_instance": instance, "task": self._task, "dag": self._task.dag}
        context |= {"run_id": instance.run_id}
        try:
            result = self._task.execute(context)
            self.token = result["token"] if self.team.rbac.exec else ""
        except Exception as error:  # the other teams are tested anyway
            return f"Team {self.name}: the pod has failed: {error}"
        return ""

    def describe_result(self) -> str:
        """Describe the result of the pod and the test of its token."""
        if not self.team.rbac.exec:
            return "a pod has run; with rbac.exec false it returns no result and no token to test"
        return (
            "a pod has returned its result, and its token was tested"
            if self.token
            else "the pod has returned no result"
        )

    def delete_pod(self) -> None:
        """Delete the pod, which revokes the token."""
        if self._task.pod:
            self._task.pod_manager.delete_pod(self._task.pod)


def open_api(token: str) -> client.ApiClient:
    """Open the Kubernetes API with a token."""
    settings = client.Configuration()
    config.load_incluster_config(client_configuration=settings)
    settings.refresh_api_key_hook = None
    settings.api_key = {"authorization": f"Bearer {token}"}
    return client.ApiClient(settings)


def check_token(test: TeamTest, namespaces: list[str]) -> Iterator[str]:
    """Yield each problem of a team's token: a right in one of the namespaces, or another service account."""
    with open_api(test.token) as api:
        review = client.AuthenticationV1Api(api).create_self_subject_review(client.V1SelfSubjectReview())
        expected = f"system:serviceaccount:{test.team.namespace}:{test.team.service_account.name}"
        if review.status.user_info.username != expected:
            yield f"Team {test.name}: pods run as {review.status.user_info.username}, not as {expected}"
        core = client.CoreV1Api(api)
        for namespace in namespaces:
            for kind in ("pod", "secret"):
                try:
                    getattr(core, f"list_namespaced_{kind}")(namespace, limit=1)
                except client.ApiException as error:
                    if error.status != FORBIDDEN:
                        yield f"Team {test.name}: listing {kind}s in {namespace} gives {error.status}, not {FORBIDDEN}"
                else:
                    yield f"Team {test.name}: the token may list {kind}s in {namespace}. Remove that right"


def set_connections(platform: contract.Contract) -> None:
    """Set the teams' connections in this process, as in an Airflow component in the cluster."""
    content = {"conn_type": "kubernetes", "extra": build_connection_extra(platform.xcom_sidecar)}
    for name in {team.connection.id for team in platform.teams.values()}:
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps(content)


def run_tests(platform: contract.Contract, tests: list[TeamTest]) -> Iterator[str]:
    """Run every team's pod, then test its token in its own, the next team's and the release's namespace."""
    with ThreadPoolExecutor(MAX_PARALLEL_PODS) as pool:
        yield from filter(None, pool.map(TeamTest.run, tests))
    for test, other in zip(tests, itertools.islice(itertools.cycle(tests), 1, None), strict=False):
        if test.token:
            namespaces = [test.team.namespace, other.team.namespace, platform.release.namespace]
            yield from check_token(test, namespaces)


def main() -> None:
    """Test all teams and exit with the problems."""
    platform = contract.load()
    set_connections(platform)
    tests = [TeamTest(name, team, platform.xcom_sidecar.image) for name, team in platform.teams.items()]
    try:
        problems = list(run_tests(platform, tests))
    finally:
        for test in tests:
            test.delete_pod()
    for test in tests:
        print(f"Team {test.name}: {test.describe_result()}", flush=True)  # before the problems on stderr
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
