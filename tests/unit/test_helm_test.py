"""helm_test.py, which `helm test` runs: the operator works with the little that it gives as a task instance."""

from __future__ import annotations

from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from typing import Any

from common.paths import REPOSITORY
from kpo_platform import contract
from unit.support.cluster_server import Cluster
from unit.support.task_process import StartTask


def load_program() -> Any:
    file = REPOSITORY / "helm" / "kpo-platform" / "files" / "scripts" / "helm_test.py"
    loader = SourceFileLoader("helm_test", str(file))
    spec = spec_from_loader("helm_test", loader)
    assert spec
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_pod_of_a_team_returns_its_token(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.result = '{"token": "of the pod"}'
    test = load_program().TeamTest("alpha", contract.load().team("alpha"), "busybox:1.35")
    assert (test.run(), test.token) == ("", "of the pod")
    assert test.describe_result() == "a pod has returned its result, and its token was tested"


def test_two_runs_have_pods_of_different_names(fake_cluster: Cluster, start_task: StartTask):
    program, fake_cluster.result = load_program(), '{"token": "of the pod"}'
    for _ in range(2):
        assert program.TeamTest("alpha", contract.load().team("alpha"), "busybox:1.35").run() == ""
    assert len(fake_cluster.pods) == 2
