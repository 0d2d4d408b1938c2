"""The stack on the local cluster: where it is, and the programs that speak to it."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common.command import Progress, capture_output, run_logged
from common.files import write_atomically
from common.paths import REPOSITORY, cache_path

RELEASE = "airflow"
NAMESPACE = "airflow"
CHART = REPOSITORY / "helm" / "kpo-platform"
VALUES = Path(__file__).with_name("values-local.yaml")
MANIFESTS = Path(__file__).with_name("manifests")


@dataclass(frozen=True)
class Stack:
    """A cluster to install on.

    Attributes:
        kubeconfig: the administrator's kubeconfig.
        programs: the folder with kubectl and helm.
    """

    kubeconfig: Path
    programs: Path

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables that let a program speak to the cluster."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: str | Path, stdin: str = "", timeout_s: float = 60) -> str:
        """Run kubectl and give what it wrote to stdout."""
        words = [self.programs / "kubectl", *arguments]
        return capture_output(words, env=self.variables, stdin=stdin, timeout_s=timeout_s)

    def config(self) -> dict[str, Any]:
        """Give the administrator's kubeconfig, everything inside it."""
        words = ("config", "view", "--raw", "--flatten", "--minify", "-o", "json")
        found: dict[str, Any] = json.loads(self.kubectl(*words))
        return found

    def kubeconfig_of(self, account: str, namespace: str, folder: Path) -> Path:
        """Write a kubeconfig that signs in by a fresh token of a service account, for an hour; give its path."""
        token = self.kubectl("create", "token", account, "-n", namespace, "--duration=1h").strip()
        config = self.config()
        config["users"][0]["user"] = {"token": token}
        file = folder / "kubeconfig"
        write_atomically(file, json.dumps(config), mode=0o600)
        return file

    def get(self, *arguments: str) -> Any:
        """Give objects as `kubectl get -o json` does."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def helm(self, arguments: Sequence[str | Path], progress: Progress, timeout_s: float) -> None:
        """Run helm, its output in a log."""
        log = cache_path("logs", "helm.log")
        run_logged(
            [self.programs / "helm", *arguments], log, env=self.variables, progress=progress, timeout_s=timeout_s
        )

    def address_of(self, service: str, namespace: str = NAMESPACE) -> str:
        """Give `host:port` of a Service; this machine has a route to the cluster's addresses."""
        spec = self.get("service", service, "-n", namespace)["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def contract(self) -> Any:
        """Give the contract that the chart published, as it stands in its ConfigMap."""
        (published,) = self.get("configmaps", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=contract")["items"]
        return json.loads(published["data"]["contract.json"])

    def secret(self, name: str, namespace: str = NAMESPACE) -> dict[str, str]:
        """Give the decoded values of a Secret."""
        data = self.get("secret", name, "-n", namespace)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
