"""What the cluster tests stand on: the stack that scripts/test brought up. Nothing here is skipped.

Namespaces of a test's own (`namespace_factory`) and `kube_cluster` come from pytest-helm-charts; it reads KUBECONFIG,
which scripts/test sets.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from local_cluster import cluster
from road.airflow_api import AirflowApi
from road.hello import connect
from road.stack import Stack


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
    return connect(stack)


@pytest.fixture(scope="session")
def programs() -> Path:
    """The folder of the environment's programs, platformctl among them."""
    return Path(sys.executable).parent
