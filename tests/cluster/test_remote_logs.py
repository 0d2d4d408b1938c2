"""Task logs in S3, as docs/logs.md says: they are read from there, whether the host of a task has a volume or none.

The server is moto, which answers like S3 but keeps everything in memory and asks for no signature.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cluster.support.airflow_runs.dag_run import Run
from cluster.support.airflow_runs.log_runs import MODES, run_logging_dags
from common.polling import NotYet, wait_for
from common.steps import Steps
from images.build import build_images
from images.recipes import AIRFLOW_WITH_S3
from local_cluster import cluster
from stack.airflow_api import AirflowApi
from stack.install import install_release
from stack.release import Stack

STORE = Path(__file__).parent / "files" / "object_store.yaml"
REPOSITORY, _, TAG = AIRFLOW_WITH_S3.reference.rpartition(":")
VALUES = {
    "images": {"airflow": {"repository": REPOSITORY, "tag": TAG}},
    "config": {
        "logging": {
            "remote_logging": "True",
            "remote_base_log_folder": "s3://our-logs/airflow",
            "remote_log_conn_id": "logs",
        }
    },
}
CONNECTION = {
    "connection_id": "logs",
    "conn_type": "aws",
    "login": "any",
    "password": "any",
    "extra": json.dumps({"endpoint_url": "http://s3.object-store.svc", "region_name": "us-east-1"}),
}


@dataclass(frozen=True)
class Kept:
    """What an executor's tasks left.

    Attributes:
        runs: how the task waited for its pod → its run.
        bucket: where the bucket's list of objects is.
    """

    runs: dict[str, Run]
    bucket: str

    def objects(self) -> list[str]:
        """Give the names of all objects in the bucket."""
        return re.findall(r"<Key>(.*?)</Key>", ask("GET", f"{self.bucket}?list-type=2").replace("%3A", ":"))


def ask(method: str, url: str) -> str:
    """Send a request, as nobody in particular, and give the answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, method=method), timeout=30) as answer:
        return str(answer.read().decode())


@pytest.fixture(scope="module")
def bucket(stack: Stack, airflow: AirflowApi) -> Iterator[str]:
    """An empty bucket, and Airflow's connection to it."""
    cluster.load(build_images(print, [AIRFLOW_WITH_S3.name]).values(), print)
    try:
        stack.kubectl("apply", "--server-side", "-f", STORE)
        stack.kubectl("wait", "pod/s3", "-n", "object-store", "--for=condition=Ready", "--timeout=90s", timeout_s=100)
        url = f"http://{stack.service_address('s3', 'object-store')}/our-logs"
        ask("PUT", url)
        airflow.post("connections", CONNECTION)
        yield url
    finally:
        install_release(Steps(), stack)
        airflow.delete("connections/logs")
        stack.kubectl("delete", "-f", STORE, "--ignore-not-found", timeout_s=120)


@pytest.fixture(scope="module", params=["LocalExecutor", "KubernetesExecutor"])
def kept(
    stack: Stack,
    airflow: AirflowApi,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Kept:
    """Two finished runs under an executor."""
    values = tmp_path_factory.mktemp("values") / "remote.yaml"
    values.write_text(yaml.safe_dump({**VALUES, "executor": request.param}))
    install_release(Steps(), stack, values)
    return Kept(run_logging_dags(stack, airflow, "remote", f"under {request.param}"), bucket)


@pytest.mark.parametrize("way", MODES)
def test_the_log_of_a_task_is_kept_in_the_bucket_and_read_from_there(kept: Kept, way: str):
    run = kept.runs[way]
    name = f"airflow/dag_id={run.dag}/run_id={run.id}/task_id=work/attempt=1.log"

    def probe() -> str:
        if name not in (found := kept.objects()):
            raise NotYet(f"objects: {found}")
        return run.read_log()

    log = wait_for(f"{name} in the bucket", probe, deadline_s=60, interval_s=2)
    assert f"a line of the {way} one" in log
    sources = log.partition("::endgroup::")[0].splitlines()[1:]
    assert sources
    assert all(source.startswith("s3://our-logs/airflow/") for source in sources), sources
