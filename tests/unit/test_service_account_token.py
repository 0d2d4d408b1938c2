"""Renewal of Airflow's service account token, which expires after an hour, during a longer task.

The kubelet writes the new token into a file in the pod. The tests read the token that the clients of the stock hooks
would send with their next request; TeamPodOperator and its trigger use these clients.
"""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path
from types import SimpleNamespace

import certifi
import kubernetes.config.incluster_config as plain
import kubernetes_asyncio.config.incluster_config as asynchronous
import pytest
from airflow.providers.cncf.kubernetes.hooks.kubernetes import AsyncKubernetesHook, KubernetesHook
from kubernetes.client import Configuration as PlainConfiguration
from kubernetes_asyncio.client import Configuration as AsyncConfiguration

START = datetime.datetime(2026, 1, 1)


class Pod:
    """A pod's token file and clock."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.time = START

    def now(self) -> datetime.datetime:
        return self.time

    def renew(self) -> None:
        """Write a new token as the kubelet does, and advance the clock until a client reads it again."""
        self.file.write_text("second")
        self.time += datetime.timedelta(minutes=2)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pod:
    pod = Pod(tmp_path / "token")
    pod.file.write_text("first")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    for configuration in (PlainConfiguration, AsyncConfiguration):  # the hooks set defaults of the whole process
        monkeypatch.setattr(configuration, "_default", None)
    for module in (plain, asynchronous):
        monkeypatch.setattr(module, "SERVICE_TOKEN_FILENAME", str(pod.file))
        monkeypatch.setattr(module, "SERVICE_CERT_FILENAME", certifi.where())
        clock = SimpleNamespace(datetime=SimpleNamespace(now=pod.now), timedelta=datetime.timedelta)
        monkeypatch.setattr(module, "datetime", clock)
    return pod


def test_task_in_a_worker_uses_the_renewed_token(pod: Pod):
    client = KubernetesHook(conn_id=None, in_cluster=True).get_conn()
    assert client.configuration.auth_settings()["BearerToken"]["value"] == "bearer first"
    pod.renew()
    assert client.configuration.auth_settings()["BearerToken"]["value"] == "bearer second"


def test_deferred_task_uses_the_renewed_token(pod: Pod):
    async def tokens() -> list[str]:
        hook = AsyncKubernetesHook(conn_id=None, in_cluster=True)
        seen = []
        for _ in range(2):
            async with hook.get_conn() as client:
                seen.append((await client.configuration.auth_settings())["BearerToken"]["value"])
            pod.renew()
        return seen

    assert asyncio.run(tokens()) == ["Bearer first", "Bearer second"]
