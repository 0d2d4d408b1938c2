"""Of two runs of bootstrap one waits, and a run that was killed is not waited for."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from kpo_platform.bootstrap import lease
from kpo_platform.errors import BootstrapError
from kpo_platform.kube import Kube
from unit.support.platformctl import Cluster, Platformctl


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "DURATION", 1)
    monkeypatch.setattr(lease, "_RENEWAL", 0.1)
    monkeypatch.setattr(lease, "_INTERVAL", 0.05)


def kube(cluster: Cluster, seconds: float = 10) -> Kube:
    return Kube.connect(cluster.options[1], None, seconds)


def lease_of(holder: str) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 1, "renewTime": "2020-01-01T00:00:00.000000Z"}
    metadata = {"name": lease.NAME, "namespace": "airflow", "uid": "lease", "resourceVersion": "7"}
    return {"metadata": metadata, "spec": spec}


def test_the_turn_is_given_back(cluster: Cluster, quick: None):
    with lease.hold_lease(kube(cluster), "airflow", print):
        assert cluster.platform.lease["spec"]["leaseDurationSeconds"] == 1
    assert cluster.platform.lease is None


def test_the_turn_is_given_back_after_a_failure(cluster: Cluster, quick: None):
    with pytest.raises(ValueError, match="oops"), lease.hold_lease(kube(cluster), "airflow", print):
        raise ValueError("oops")
    assert cluster.platform.lease is None


def test_a_second_run_waits_for_the_first_and_says_for_whom(cluster: Cluster, quick: None):
    said: list[str] = []
    order: list[str] = []

    def second() -> None:
        with lease.hold_lease(kube(cluster), "airflow", said.append):
            order.append("second")

    with lease.hold_lease(kube(cluster), "airflow", print) as first:
        other = threading.Thread(target=second)
        other.start()
        other.join(1.5)  # longer than the Lease lasts unless it is renewed
        order.append("first")
    other.join(5)
    assert (order, said) == (["first", "second"], [f"► Waiting for another bootstrap run: {first.holder}"])


def test_the_lease_of_a_run_that_was_killed_is_taken_over(cluster: Cluster, quick: None):
    cluster.platform.lease = lease_of("killed")
    with lease.hold_lease(kube(cluster), "airflow", print) as now:
        assert cluster.platform.lease["spec"]["holderIdentity"] == now.holder
    assert cluster.platform.lease is None


def test_a_run_that_is_never_done_is_not_waited_for_forever(cluster: Cluster, quick: None):
    cluster.platform.lease = {**lease_of("slow"), "spec": {"holderIdentity": "slow", "leaseDurationSeconds": 60}}
    with pytest.raises(BootstrapError) as error, lease.hold_lease(kube(cluster, 0.5), "airflow", print):
        pass
    assert str(error.value) == ("Another bootstrap run, slow, did not finish in time. Wait for it or raise --timeout.")


def test_who_lost_the_turn_writes_nothing_more(cluster: Cluster, quick: None):
    with lease.hold_lease(kube(cluster), "airflow", print) as first:
        cluster.platform.lease = {**lease_of("other"), "metadata": {"resourceVersion": "99"}}
        for _ in range(50):
            if first.is_lost:
                break
            threading.Event().wait(0.05)
        with pytest.raises(BootstrapError, match="Another bootstrap run took over"):
            first.ensure_held()


def test_a_dry_run_needs_no_turn(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    cluster.platform.lease = lease_of("another")
    assert platformctl(*cluster.bootstrap, "--dry-run", "--team", "beta").code == 0
    assert cluster.platform.lease == lease_of("another")
