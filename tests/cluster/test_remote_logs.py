"""Task logs in S3 as docs/logs.md describes, with and without a log volume.

The S3 server is moto, which keeps objects in memory and accepts unsigned requests.
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

OBJECT_STORE_FILE = Path(__file__).parent / "files" / "object_store.yaml"
OBJECT_STORE = OBJECT_STORE_FILE.read_text(encoding="utf-8").replace("IMAGE", AIRFLOW_WITH_S3.reference)
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
class StoredLogs:
    """The logs of an executor's tasks.

    Attributes:
        runs: how the task waited for its pod → the run.
        bucket: URL of the bucket.
    """

    runs: dict[str, Run]
    bucket: str

    def list_objects(self) -> list[str]:
        """Return the names of all objects in the bucket."""
        return re.findall(r"<Key>(.*?)</Key>", send_request("GET", f"{self.bucket}?list-type=2").replace("%3A", ":"))


def send_request(method: str, url: str) -> str:
    """Send a request without authentication, and return the response."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(url, method=method), timeout=30) as response:
        return str(response.read().decode())


@pytest.fixture(scope="module")
def bucket(stack: Stack, airflow: AirflowApi) -> Iterator[str]:
    """An empty bucket, and Airflow's connection to it."""
    cluster.load(build_images(print, [AIRFLOW_WITH_S3.name]).values(), print)
    try:
        stack.kubectl("apply", "--server-side", "-f", "-", stdin=OBJECT_STORE)
        stack.kubectl("wait", "pod/s3", "-n", "object-store", "--for=condition=Ready", "--timeout=90s", timeout_s=100)
        url = f"http://{stack.service_address('s3', 'object-store')}/our-logs"
        send_request("PUT", url)
        airflow.post("connections", CONNECTION)
        yield url
    finally:
        install_release(Steps(), stack)
        airflow.delete("connections/logs")
        stack.kubectl("delete", "-f", "-", "--ignore-not-found", stdin=OBJECT_STORE, timeout_s=120)


@pytest.fixture(scope="module", params=["LocalExecutor", "KubernetesExecutor"])
def stored_logs(
    stack: Stack,
    airflow: AirflowApi,
    bucket: str,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> StoredLogs:
    """Two finished runs under an executor."""
    values = tmp_path_factory.mktemp("values") / "remote.yaml"
    values.write_text(yaml.safe_dump({**VALUES, "executor": request.param}))
    install_release(Steps(), stack, values)
    return StoredLogs(run_logging_dags(stack, airflow, "remote", f"under {request.param}"), bucket)


@pytest.mark.parametrize("mode", MODES)
def test_task_log_is_stored_in_the_bucket_and_read_from_there(stored_logs: StoredLogs, mode: str):
    run = stored_logs.runs[mode]
    name = f"airflow/dag_id={run.dag}/run_id={run.id}/task_id=work/attempt=1.log"

    def probe() -> str:
        if name not in (names := stored_logs.list_objects()):
            raise NotYet(f"objects: {names}")
        return run.read_log()

    log = wait_for(f"{name} in the bucket", probe, deadline_s=60, interval_s=2)
    assert f"a line of the {mode} one" in log
    sources = log.partition("::endgroup::")[0].splitlines()[1:]
    assert sources
    assert all(source.startswith("s3://our-logs/airflow/") for source in sources), sources
