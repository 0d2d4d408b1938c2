"""bootstrap.lease: waiting for another run, takeover of a killed run's Lease, loss of the Lease."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap import lease
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Kube
from unit.support.platformctl import Cluster, Platformctl

SHORT_TIMES = lease.LeaseTimes(duration=1, renewal=0.1, poll=0.05)


def connect(cluster: Cluster, seconds: float = 10) -> Kube:
    return Kube.connect(cluster.options[1], None, seconds)


def build_lease(holder: str) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"}
    metadata = {"name": lease.NAME, "namespace": "airflow", "uid": "lease", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": spec}


def test_lease_is_deleted_at_the_end(cluster: Cluster):
    with lease.hold_lease(connect(cluster), "airflow", print, SHORT_TIMES):
        assert cluster.platform.lease["spec"]["leaseDurationSeconds"] == 1
    assert cluster.platform.lease is None


def test_lease_is_deleted_after_a_failure(cluster: Cluster):
    with pytest.raises(ValueError, match="oops"), lease.hold_lease(connect(cluster), "airflow", print, SHORT_TIMES):
        raise ValueError("oops")
    assert cluster.platform.lease is None


def test_second_run_waits_and_names_the_first(cluster: Cluster):
    messages: list[str] = []
    order: list[str] = []

    def run_second() -> None:
        with lease.hold_lease(connect(cluster), "airflow", messages.append, SHORT_TIMES):
            order.append("second")

    with lease.hold_lease(connect(cluster), "airflow", print, SHORT_TIMES) as first:
        other = threading.Thread(target=run_second)
        other.start()
        other.join(1.5)  # longer than the Lease lasts unless it is renewed
        order.append("first")
    other.join(5)
    assert (order, messages) == (["first", "second"], [f"► Waiting for another bootstrap run: {first.holder}"])


def test_lease_of_a_killed_run_is_taken_over(cluster: Cluster):
    cluster.platform.lease = build_lease("killed")
    with lease.hold_lease(connect(cluster), "airflow", print, SHORT_TIMES) as held_lease:
        assert cluster.platform.lease["spec"]["holderIdentity"] == held_lease.holder
    assert cluster.platform.lease is None


def test_wait_for_another_run_ends_at_the_deadline(cluster: Cluster):
    cluster.platform.lease = {**build_lease("slow"), "spec": {"holderIdentity": "slow", "leaseDurationSeconds": 60}}
    with pytest.raises(BootstrapError) as error, lease.hold_lease(connect(cluster, 0.5), "airflow", print, SHORT_TIMES):
        pass
    assert str(error.value) == ("Another bootstrap run, slow, did not finish in time. Wait for it or raise --timeout.")


def test_run_that_lost_its_lease_is_stopped(cluster: Cluster):
    with lease.hold_lease(connect(cluster), "airflow", print, SHORT_TIMES) as first:
        cluster.platform.lease = {**build_lease("other"), "metadata": {"resourceVersion": "99"}}
        for _ in range(50):
            if first.is_lost:
                break
            threading.Event().wait(0.05)
        with pytest.raises(BootstrapError) as error:
            first.ensure_held()
    assert str(error.value) == (
        "Another bootstrap run took over the Lease: this run did not renew it for 1 s. "
        "Nothing more was written. Run again."
    )


def test_dry_run_needs_no_lease(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    cluster.platform.lease = build_lease("another")
    assert platformctl(*cluster.bootstrap, "--dry-run", "--team", "beta").code == 0
    assert cluster.platform.lease == build_lease("another")
