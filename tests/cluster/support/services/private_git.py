"""A git server in the cluster with authentication: a password over HTTP, a key over SSH."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from images.build import build_images
from images.recipes import PRIVATE_GIT
from local_cluster import cluster
from stack.release import NAMESPACE, Stack

HOST = "private-git.git.svc.cluster.local"
USER = "deploy"
_NAMESPACE = "git"
_NAME = "private-git"
_LABELS = {"app.kubernetes.io/name": _NAME}
_COMMIT = """
set -e
bare=/srv/git/$1.git work=/srv/git/work-$1
[ -e "$work" ] || { git init -q --bare -b main "$bare"; git clone -q "$bare" "$work" 2>/dev/null; }
cd "$work"
git checkout -q -B main
mkdir -p "$(dirname "$2")"
cat > "$2"
git add .
git -c user.name=t -c user.email=t@example.test commit -q -m more
git push -q origin main
git rev-parse HEAD
"""
_KEY = """
set -e
rm -f /tmp/key /tmp/key.pub
ssh-keygen -q -t ed25519 -N '' -C author -f /tmp/key
cp /tmp/key.pub /tmp/authorized_keys
cat /tmp/key
rm /tmp/key
"""


@dataclass(frozen=True)
class PrivateGit:
    """The running server."""

    stack: Stack

    def http_url(self, repository: str) -> str:
        """Return the HTTP URL of a repository."""
        return f"http://{HOST}:8080/srv/git/{repository}.git"

    def ssh_url(self, repository: str) -> str:
        """Return the SSH URL of a repository."""
        return f"git@{HOST}:/srv/git/{repository}.git"

    def commit_file(self, repository: str, path: str, text: str) -> str:
        """Commit a file to a repository, which is created if missing; return the commit."""
        return self._shell(_COMMIT, text, repository, path).strip()

    def set_password(self, password: str) -> None:
        """Replace the password of all repositories."""
        self._shell("cat > /tmp/passwords", f"{USER}:{password}\n")

    def create_key(self) -> str:
        """Replace the authorized key of all repositories; return the private key."""
        return self._shell(_KEY)

    def read_host_key(self) -> str:
        """Return the server's line for a known_hosts file."""
        kind, key, _ = self._shell("cat /tmp/host_key.pub").split()
        return f"{HOST} {kind} {key}\n"

    def _shell(self, script: str, stdin: str = "", *arguments: str) -> str:
        words = ("exec", "-i", "-n", _NAMESPACE, _NAME, "--", "sh", "-c", script, "sh", *arguments)
        return self.stack.kubectl(*words, stdin=stdin)


@contextmanager
def run_private_git(stack: Stack) -> Iterator[PrivateGit]:
    """Run the server during the block, without repositories and credentials; delete it afterwards."""
    cluster.load(build_images(print, [PRIVATE_GIT.name]).values(), print)
    _delete(stack)
    try:
        stack.kubectl("apply", "-f", "-", stdin=json.dumps(_objects()))
        stack.kubectl("wait", f"pod/{_NAME}", "-n", _NAMESPACE, "--for=condition=Ready", "--timeout=60s", timeout_s=70)
        yield PrivateGit(stack)
    finally:
        _delete(stack)


def apply_credentials(stack: Stack, name: str, kind: str, data: dict[str, str]) -> None:
    """Create or change a Secret for Airflow of type `basic-auth` or `ssh-auth`."""
    meta = {"name": name, "namespace": NAMESPACE}
    secret = {"apiVersion": "v1", "kind": "Secret", "type": f"kubernetes.io/{kind}", "metadata": meta}
    stack.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps({**secret, "stringData": data}))


def _delete(stack: Stack) -> None:
    stack.kubectl("delete", "pod,service", _NAME, "-n", _NAMESPACE, "--ignore-not-found", "--grace-period=1")


def _objects() -> dict[str, Any]:
    security = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "server",
        "image": PRIVATE_GIT.reference,
        "imagePullPolicy": "IfNotPresent",
        "ports": [{"name": "ssh", "containerPort": 2222}, {"name": "http", "containerPort": 8080}],
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod = {"automountServiceAccountToken": False, "securityContext": security, "containers": [container]}
    ports = [{"name": "ssh", "port": 22, "targetPort": "ssh"}, {"name": "http", "port": 8080, "targetPort": "http"}]
    meta = {"name": _NAME, "namespace": _NAMESPACE, "labels": _LABELS}
    return {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod},
            {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {"selector": _LABELS, "ports": ports}},
        ],
    }
