"""Fixtures of the cluster tests: the stack that scripts/test has installed. No test is skipped.

`namespace_factory` and `kube_cluster` come from pytest-helm-charts, which reads KUBECONFIG; scripts/test sets it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pykube.config
import pytest

from local_cluster import cluster
from stack.airflow_api import AirflowApi
from stack.release import Stack
from stack.sample_run import connect_airflow


@pytest.fixture(scope="session", autouse=True)
def private_keys() -> Iterator[None]:
    """Give pykube a private folder: it writes the administrator's key to a world-readable file."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pykube.config, "tempfile", SimpleNamespace(gettempdir=lambda: folder))
        yield


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack on the cluster of KUBECONFIG.

    A cluster that does not respond is a failure, not a skip.
    """
    if "KUBECONFIG" not in os.environ:
        pytest.fail("KUBECONFIG is not set. Run these tests with scripts/test --all [GROUP].")
    stack = Stack(Path(os.environ["KUBECONFIG"]), cluster.programs_folder())
    stack.kubectl("get", "--raw", "/readyz")
    return stack


@pytest.fixture(scope="session")
def airflow(stack: Stack) -> AirflowApi:
    """Airflow's API with the administrator's login."""
    return connect_airflow(stack)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the environment's programs, such as platformctl."""
    return Path(sys.executable).parent
