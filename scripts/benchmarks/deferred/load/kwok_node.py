"""A node that kwok plays on the local cluster, as long as a benchmark needs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from benchmarks.deferred.load.kwok_config import MARK, NEVER, NODE, build_node, render_config, render_log
from benchmarks.deferred.load.kwok_program import build_kwok
from common.command import Progress, end_process_group
from common.errors import ScriptError
from common.paths import cache_path
from common.polling import NotYet, wait_for
from local_cluster.addresses import NODE_IP
from local_cluster.certificates import KUBELET, Pki
from local_cluster.cluster_paths import default_paths
from local_cluster.network import ENTER_NAMESPACE
from stack.release import Stack

LOG = ("started", "working", "finished")
"""The lines in the log of every container of the node."""

NAMESPACE = "team-alpha"
"""The namespace of the node's pods."""

_PORT = 10260
_READY_S = 60.0
_DELETE_S, _DELETE_AT_ONCE = 600.0, 500


class KwokNode:
    """The node and the process that plays it.

    kwok binds no pod: a pod is created with the node's name, so that the scheduler does not matter.
    """

    def __init__(self, stack: Stack, program: Path, folder: Path, output: IO[str]) -> None:
        self._stack, self._program, self._folder, self._output = stack, program, folder, output
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, ends_from: float = NEVER) -> None:
        """Start kwok, again if it runs, and wait until the node is ready.

        Args:
            ends_from: the time from which the node's pods end, each by its annotation `END_AFTER`.
        """
        self.stop()
        (self._folder / "log").write_text(render_log(LOG))
        (self._folder / "config.yaml").write_text(render_config(self._folder / "log", ends_from))
        # A killed benchmark takes kwok along.
        words = ["setpriv", "--pdeathsig", "KILL", *ENTER_NAMESPACE, *self._build_command()]
        self._process = subprocess.Popen(
            list(map(str, words)),
            cwd="/",
            env={**os.environ, "HOME": str(self._folder)},  # where kwok looks for further configuration
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )
        wait_for(f"node {NODE} to be ready", self._probe, _READY_S)

    def stop(self) -> None:
        """Stop kwok: the node's pods stay as they are."""
        if self._process is not None:
            end_process_group(self._process)
            self._process = None

    def _build_command(self) -> list[str | Path]:
        pki = Pki(default_paths().pki)
        return [
            self._program,
            f"--config={self._folder / 'config.yaml'}",
            f"--kubeconfig={self._stack.kubeconfig}",
            f"--manage-nodes-with-annotation-selector={MARK}=true",
            f"--node-ip={NODE_IP}",
            f"--node-port={_PORT}",
            f"--server-address={NODE_IP}:{_PORT}",
            # The API server trusts no other kubelet; this one has the same address.
            f"--tls-cert-file={pki.certificate(KUBELET)}",
            f"--tls-private-key-file={pki.key(KUBELET)}",
        ]

    def _probe(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise ScriptError(f"kwok exited during its start. See {self._output.name}.")
        conditions = self._stack.get("node", NODE).get("status", {}).get("conditions", [])
        if not any(each["type"] == "Ready" and each["status"] == "True" for each in conditions):
            raise NotYet(f"conditions {conditions}")


@contextmanager
def play_node(stack: Stack, progress: Progress) -> Iterator[KwokNode]:
    """Play a node during the block; afterwards it is deleted with its pods.

    Args:
        stack: the cluster.
        progress: called with the current activity.
    """
    program = build_kwok(progress)
    output = cache_path("logs", "kwok.log")
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="kpo-platform-kwok-") as folder, output.open("w") as stream:
        node = KwokNode(stack, program, Path(folder), stream)
        try:
            delete_node(stack)  # of a killed benchmark
            stack.kubectl("create", "-f", "-", stdin=json.dumps(build_node()))
            node.start()
            yield node
        finally:
            node.stop()
            delete_node(stack)


def delete_node(stack: Stack) -> None:
    """Delete the node, and its pods at once.

    Raises:
        ScriptError: pods are left.
    """
    selector = f"fieldSelector=spec.nodeName%3D{NODE}"
    # The answer has all deleted pods, so not too many at once.
    some = f"/api/v1/namespaces/{NAMESPACE}/pods?{selector}&gracePeriodSeconds=0&limit={_DELETE_AT_ONCE}"

    def probe() -> None:
        stack.kubectl("delete", "--raw", some)
        if json.loads(stack.kubectl("get", "--raw", f"/api/v1/pods?{selector}&limit=1"))["items"]:
            raise NotYet("there are more")

    wait_for(f"the pods of node {NODE} to be deleted", probe, _DELETE_S, interval_s=0)
    stack.kubectl("delete", "node", NODE, "--ignore-not-found", timeout_s=120)
