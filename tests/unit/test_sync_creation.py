"""The creation of a pod in a sync run: requests without an answer whose pod the cluster creates later."""

from __future__ import annotations

from typing import Any

import pytest

from unit.support.cluster_server import Cluster
from unit.support.http_server import Fault
from unit.support.pod_store import refuse
from unit.support.task_process import StartTask

FULL = refuse(403, "Forbidden", 'pods "t" is forbidden: exceeded quota: team-quota')
UNANSWERED = [Fault.CLOSE, Fault.CUT, *(refuse(code, "", "busy") for code in (408, 429, 500, 504)), (403, "RBAC: no")]


@pytest.mark.parametrize("answer", UNANSWERED)
def test_pod_of_an_unanswered_request_is_found_although_the_quota_is_used_up(
    answer: Any, fake_cluster: Cluster, start_task: StartTask
):
    """The first request is still in admission when the pod is looked for, and creates it before the second one."""
    fake_cluster.quota = 1
    fake_cluster.add("POST", answer)
    fake_cluster.add("POST", FULL, is_after=True)
    task = start_task(xcom="sidecar")
    run = task.run()
    assert (run.outcome, fake_cluster.created, fake_cluster.pods) == ({"rows": 3}, 1, {})
    assert run.requests[:4] == ["POST pods", "GET POD", "POST pods", "GET POD"]
    assert fake_cluster.now < 60


def test_refused_request_is_repeated_without_a_look_for_its_pod(fake_cluster: Cluster, start_task: StartTask):
    fake_cluster.add("POST", FULL, times=3)
    assert start_task().run().requests == ["POST pods", "WATCH POD", "DELETE POD"]
    assert fake_cluster.requests[:4] == ["POST pods"] * 4


def test_look_for_the_pod_of_an_unanswered_request_precedes_every_further_request(
    fake_cluster: Cluster, start_task: StartTask
):
    fake_cluster.add("POST", Fault.CLOSE)
    fake_cluster.add("POST", FULL, times=2)
    task = start_task()
    assert (task.run().outcome, fake_cluster.created) == (None, 1)
    assert fake_cluster.requests[:7] == [*["POST pods", f"GET pods/{task.pod}"] * 3, "POST pods"]
