"""Serialize bootstrap runs with a Lease that is renewed during the run."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kpo_platform.errors import BootstrapError, ClusterError, Conflict, NotFound
from kpo_platform.kube import LEASE, Kube, Object

NAME = "platformctl-bootstrap"
"""The Lease's name. rbac/bootstrap-operator-release.yaml grants access to this name only."""


@dataclass(frozen=True)
class LeaseTimes:
    """Times of a Lease, in seconds.

    Attributes:
        duration: time without a renewal after which a waiting run takes the Lease over.
        renewal: interval between two renewals.
        poll: interval between two reads by a waiting run.
    """

    duration: int = 15
    renewal: float = 5.0
    poll: float = 1.0


DEFAULT_TIMES = LeaseTimes()


@dataclass
class HeldLease:
    """The Lease that this run holds.

    Attributes:
        holder: the identity of this run.
        lease: the Lease as this run last wrote it.
        times: its duration and intervals.
        is_lost: whether another run took the Lease over because this run could not renew it in time.
    """

    holder: str
    lease: Object
    times: LeaseTimes
    is_lost: bool = False

    def ensure_held(self) -> None:
        """Check, before a write, that this run still holds the Lease.

        Raises:
            BootstrapError: another run has taken the Lease over.
        """
        if self.is_lost:
            raise BootstrapError(
                f"Another bootstrap run took over the Lease: this run did not renew it for {self.times.duration} s. "
                "Nothing more was written. Run again."
            )


@contextmanager
def hold_lease(
    kube: Kube, namespace: str, report: Callable[[str], None], times: LeaseTimes = DEFAULT_TIMES
) -> Iterator[HeldLease]:
    """Hold the release's Lease in a context; wait for it until the command's deadline.

    This process takes over a Lease that it has not seen change for the Lease's duration. It does not compare
    ``renewTime`` with its own clock, because clocks may differ.

    Args:
        kube: the cluster.
        namespace: the release's namespace.
        report: is called with a message when the run has to wait for another one.
        times: the duration of the Lease and its intervals.

    Raises:
        BootstrapError: another run holds the Lease until the deadline.
        ClusterError: the Lease cannot be read or written.
    """
    held_lease = _acquire_lease(kube, namespace, report, times)
    ended = threading.Event()
    renewal = threading.Thread(target=_renew_lease, args=(kube, held_lease, ended), daemon=True)
    renewal.start()
    try:
        yield held_lease
    finally:
        ended.set()
        renewal.join()
        with suppress(ClusterError):  # the Lease then expires
            kube.with_timeout(times.renewal).delete(LEASE, held_lease.lease)


def _acquire_lease(kube: Kube, namespace: str, report: Callable[[str], None], times: LeaseTimes) -> HeldLease:
    identity = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    last_version, last_change, reported_holder = "", time.monotonic(), ""
    while True:
        lease = _read_lease(kube, namespace)
        holder = str((lease or {}).get("spec", {}).get("holderIdentity"))
        if lease and lease["metadata"]["resourceVersion"] != last_version:
            last_version, last_change = lease["metadata"]["resourceVersion"], time.monotonic()
        if lease is None or time.monotonic() - last_change > _get_duration(lease, times):
            with suppress(Conflict):  # another run was faster
                return HeldLease(identity, _write_lease(kube, namespace, identity, lease, times), times)
        elif reported_holder != holder:
            report(f"► Waiting for another bootstrap run: {holder}")
            reported_holder = holder
        if kube.deadline.remaining_seconds() < 2 * times.poll:  # the next read takes time as well
            raise BootstrapError(
                f"Another bootstrap run, {holder}, did not finish in time. Wait for it or raise --timeout."
            )
        time.sleep(times.poll)


def _read_lease(kube: Kube, namespace: str) -> Object | None:
    try:
        return kube.get(LEASE, NAME, namespace)
    except NotFound:
        return None


def _get_duration(lease: Object, times: LeaseTimes) -> float:
    return float(lease.get("spec", {}).get("leaseDurationSeconds") or times.duration)


def _write_lease(kube: Kube, namespace: str, holder: str, current: Object | None, times: LeaseTimes) -> Object:
    metadata: dict[str, Any] = {"name": NAME, "namespace": namespace}
    if current:
        metadata["resourceVersion"] = current["metadata"]["resourceVersion"]
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": LEASE.kind, "metadata": metadata}
    lease["spec"] = {"holderIdentity": holder, "leaseDurationSeconds": times.duration, "renewTime": _format_now()}
    return kube.replace(LEASE, lease) if current else kube.create(LEASE, lease)


def _renew_lease(kube: Kube, held_lease: HeldLease, ended: threading.Event) -> None:
    """Renew the Lease until the run has ended or another run has taken the Lease over."""
    # Each renewal has its own deadline: the command's deadline pauses while it waits for user input.
    while not ended.wait(held_lease.times.renewal):
        try:
            lease, times = held_lease.lease, held_lease.times
            client, namespace = kube.with_timeout(times.duration), lease["metadata"]["namespace"]
            held_lease.lease = _write_lease(client, namespace, held_lease.holder, lease, times)
        except (Conflict, NotFound):
            held_lease.is_lost = True
            return
        except ClusterError:
            continue  # the API server may be back before the Lease expires


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
