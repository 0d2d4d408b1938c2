"""Enforcement of NetworkPolicies on the local cluster, whose own network plugin does not enforce them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.support.network.nftables import TABLE_DELETION, render_ruleset
from common.command import capture_output
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from local_cluster.addresses import NODE_IP, POD_CIDR
from local_cluster.network import ENTER_NAMESPACE
from stack.release import Stack

_INTERVAL_S = 1.0

DNS_POD: dict[str, Any] = {
    "metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
    "spec": {"containers": [{"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]}]},
    "status": {"podIP": NODE_IP},
}
"""The DNS server as a pod of kube-system; on the local cluster it is a process of the node."""


class Enforcer:
    """Reads the cluster's policies once a second and applies them to its network."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._stopped = threading.Event()
        self._updates = 0
        self._failure: Exception | None = None
        self._thread = threading.Thread()

    def start(self) -> None:
        """Start to enforce the policies."""
        self._stopped.clear()
        self._apply()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_until_applied(self) -> None:
        """Wait until the cluster's current policies are applied."""
        expected = self._updates + 2  # the current update may have read the cluster earlier

        def probe() -> None:
            self._raise_failure()
            if self._updates < expected:
                raise NotYet(f"{expected - self._updates} more updates are pending")

        wait_for("the policies to be applied", probe, deadline_s=30, interval_s=0.2)

    def stop(self) -> None:
        """Stop to enforce the policies.

        Raises:
            ScriptError: enforcement failed earlier, so observations are invalid.
        """
        self._stopped.set()
        self._thread.join(60)
        apply_ruleset(TABLE_DELETION)
        self._raise_failure()

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Enforce nothing during the block."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _raise_failure(self) -> None:
        if self._failure:
            raise ScriptError("Network policies are no longer enforced: an update failed.") from self._failure

    def _run(self) -> None:
        while not self._stopped.wait(_INTERVAL_S):
            try:
                self._apply()
            except Exception as error:
                self._failure = error
                return

    def _apply(self) -> None:
        """Apply the policies even if unchanged, because the table expires."""
        objects: dict[str, list[Any]] = {"NetworkPolicy": [], "Pod": [DNS_POD], "Namespace": []}
        for item in self._stack.get("networkpolicies,pods,namespaces", "-A")["items"]:
            objects[item["kind"]].append(item)
        apply_ruleset(render_ruleset(objects["NetworkPolicy"], objects["Pod"], objects["Namespace"], POD_CIDR))
        self._updates += 1


def apply_ruleset(table: str) -> None:
    """Apply a ruleset in the cluster's network namespace."""
    capture_output((*ENTER_NAMESPACE, "nft", "-f", "-"), stdin=table)


@contextmanager
def enforce_policies(stack: Stack) -> Iterator[Enforcer]:
    """Enforce the cluster's NetworkPolicies during the block."""
    enforcer = Enforcer(stack)
    enforcer.start()
    try:
        yield enforcer
    finally:
        enforcer.stop()
