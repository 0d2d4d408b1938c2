"""Of two runs at once one waits: a Lease in the release's namespace, renewed while a run goes on."""

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
"""The Lease's name; rbac/bootstrap-operator-release.yaml allows this one."""

DURATION = 15
"""Seconds after which a Lease that nobody renews is taken over: its run was killed."""

_RENEWAL = 5.0
_INTERVAL = 1.0


@dataclass
class HeldLease:
    """The turn of one run.

    Attributes:
        holder: how this run calls itself.
        lease: the Lease as it was last written.
        lost: whether another run took the turn over, because this one could not renew it in time.
    """

    holder: str
    lease: Object
    lost: bool = False

    def ensure_held(self) -> None:
        """Be sure that the turn is still ours, before something is written.

        Raises:
            BootstrapError: another run has taken it over.
        """
        if self.lost:
            raise BootstrapError(
                "Another run of bootstrap took over, because this one was not heard of for "
                f"{DURATION} s; nothing more was written, run again."
            )


@contextmanager
def hold_lease(kube: Kube, namespace: str, say: Callable[[str], None]) -> Iterator[HeldLease]:
    """Have the only turn in a release while the context lasts; wait for it as long as the command may take.

    Whether a Lease is stale is judged by how long it stays the same for us, so clocks need not agree.

    Args:
        kube: the cluster.
        namespace: the release's namespace.
        say: is told when another run has the turn.

    Raises:
        BootstrapError: another run has the turn until the deadline.
        ClusterError: the Lease could not be read or written.
    """
    turn = _acquire(kube, namespace, say)
    ended = threading.Event()
    renewal = threading.Thread(target=_renew_until, args=(kube, turn, ended), daemon=True)
    renewal.start()
    try:
        yield turn
    finally:
        ended.set()
        renewal.join()
        with suppress(ClusterError):  # it then runs out by itself
            kube.with_timeout(_RENEWAL).delete(LEASE, turn.lease)


def _acquire(kube: Kube, namespace: str, say: Callable[[str], None]) -> HeldLease:
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    seen, since, told = "", time.monotonic(), ""
    while True:
        found = _read_lease(kube, namespace)
        other = str((found or {}).get("spec", {}).get("holderIdentity"))
        if found and found["metadata"]["resourceVersion"] != seen:
            seen, since = found["metadata"]["resourceVersion"], time.monotonic()
        if found is None or time.monotonic() - since > _get_duration(found):
            with suppress(Conflict):  # somebody was faster
                return HeldLease(holder, _write_lease(kube, namespace, holder, found))
        elif told != other:
            say(f"► Waiting for another run of bootstrap, {other}")
            told = other
        if kube.deadline.remaining_seconds() < 2 * _INTERVAL:  # the next look takes time as well
            raise BootstrapError(
                f"Another run of bootstrap, {other}, was not done in time: wait for it, or give more with --timeout."
            )
        time.sleep(_INTERVAL)


def _read_lease(kube: Kube, namespace: str) -> Object | None:
    try:
        return kube.get(LEASE, NAME, namespace)
    except NotFound:
        return None


def _get_duration(lease: Object) -> float:
    return float(lease.get("spec", {}).get("leaseDurationSeconds") or DURATION)


def _write_lease(kube: Kube, namespace: str, holder: str, found: Object | None) -> Object:
    metadata: dict[str, Any] = {"name": NAME, "namespace": namespace}
    if found:
        metadata["resourceVersion"] = found["metadata"]["resourceVersion"]
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": LEASE.kind, "metadata": metadata}
    lease["spec"] = {"holderIdentity": holder, "leaseDurationSeconds": DURATION, "renewTime": _format_now()}
    return kube.replace(LEASE, lease) if found else kube.create(LEASE, lease)


def _renew_until(kube: Kube, turn: HeldLease, ended: threading.Event) -> None:
    # Each time a deadline of its own: the command's stands still while a person thinks, the Lease does not.
    while not ended.wait(_RENEWAL):
        try:
            turn.lease = _write_lease(
                kube.with_timeout(DURATION), turn.lease["metadata"]["namespace"], turn.holder, turn.lease
            )
        except (Conflict, NotFound):
            turn.lost = True
            return
        except ClusterError:
            continue  # the API server may be back before the Lease runs out


def _format_now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
