"""What the cluster tests stand on: the stack that scripts/test brought up. Nothing here is skipped.

Namespaces of a test's own (`namespace_factory`) and `kube_cluster` come from pytest-helm-charts; it reads KUBECONFIG,
which scripts/test sets.
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
    """A folder of our own for pykube, which leaves the administrator's key in a file that everybody may read."""
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pykube.config, "tempfile", SimpleNamespace(gettempdir=lambda: folder))
        yield


@pytest.fixture(scope="session")
def stack() -> Stack:
    """The stack on the cluster that KUBECONFIG names; a cluster that does not answer is a failure, never a skip."""
    if "KUBECONFIG" not in os.environ:
        pytest.fail("KUBECONFIG names no cluster: run these tests by scripts/test --all [GROUP]")
    stack = Stack(Path(os.environ["KUBECONFIG"]), cluster.programs())
    stack.kubectl("get", "--raw", "/readyz")
    return stack


@pytest.fixture(scope="session")
def airflow(stack: Stack) -> AirflowApi:
    """Airflow, signed in as its administrator."""
    return connect_airflow(stack)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the environment's programs, platformctl among them."""
    return Path(sys.executable).parent
