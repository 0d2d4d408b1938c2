"""Enforcement of NetworkPolicies on the local cluster, whose own network has none, while a block of a test runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cluster.support.network.nftables import REMOVAL, ruleset
from common.command import capture_output
from common.errors import ScriptError
from common.polling import NotYet, wait_for
from local_cluster.addresses import NODE_IP, POD_CIDR
from local_cluster.network import ENTER_NAMESPACE
from stack.release import Stack

_INTERVAL_S = 1.0

NAME_SERVER: dict[str, Any] = {
    "metadata": {"name": "coredns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
    "spec": {"containers": [{"ports": [{"name": "dns", "containerPort": 53, "protocol": "UDP"}]}]},
    "status": {"podIP": NODE_IP},
}
"""What answers for the cluster's names: elsewhere a pod of kube-system, here a process of the node."""


class Enforcer:
    """Looks at the cluster once a second and holds the network to what its policies say."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._ended = threading.Event()
        self._passes = 0
        self._failure: Exception | None = None
        self._thread = threading.Thread()

    def start(self) -> None:
        """Enforce from now on."""
        self._ended.clear()
        self._apply()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def settle(self) -> None:
        """Wait until what the cluster has now is enforced."""
        wanted = self._passes + 2  # the one that goes on may have looked before

        def probe() -> None:
            self._raise()
            if self._passes < wanted:
                raise NotYet(f"{wanted - self._passes} more looks at the cluster to go")

        wait_for("the policies to be enforced", probe, deadline_s=30, interval_s=0.2)

    def stop(self) -> None:
        """Enforce nothing any more.

        Raises:
            ScriptError: meanwhile it failed, so what was seen says nothing.
        """
        self._ended.set()
        self._thread.join(60)
        apply(REMOVAL)
        self._raise()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Enforce nothing while the block runs."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def _raise(self) -> None:
        if self._failure:
            raise ScriptError("Policies are not enforced any more.") from self._failure

    def _follow(self) -> None:
        while not self._ended.wait(_INTERVAL_S):
            try:
                self._apply()
            except Exception as error:
                self._failure = error
                return

    def _apply(self) -> None:
        """Apply also what has not changed: the table ends by itself otherwise, see there."""
        found: dict[str, list[Any]] = {"NetworkPolicy": [], "Pod": [NAME_SERVER], "Namespace": []}
        for item in self._stack.get("networkpolicies,pods,namespaces", "-A")["items"]:
            found[item["kind"]].append(item)
        apply(ruleset(found["NetworkPolicy"], found["Pod"], found["Namespace"], POD_CIDR))
        self._passes += 1


def apply(table: str) -> None:
    """Give nftables in the cluster's network a text."""
    capture_output((*ENTER_NAMESPACE, "nft", "-f", "-"), stdin=table)


@contextmanager
def enforcing(stack: Stack) -> Iterator[Enforcer]:
    """Enforce the cluster's NetworkPolicies while the block runs."""
    enforcer = Enforcer(stack)
    enforcer.start()
    try:
        yield enforcer
    finally:
        enforcer.stop()
