"""The Helm release on the local cluster: its names, and the programs and addresses to access it."""

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
    """Access to the cluster and to the release.

    Attributes:
        kubeconfig: the administrator's kubeconfig.
        programs: the folder of kubectl and helm.
    """

    kubeconfig: Path
    programs: Path

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables with which programs use the cluster."""
        return {"KUBECONFIG": str(self.kubeconfig)}

    def kubectl(self, *arguments: str | Path, stdin: str = "", timeout_s: float = 60) -> str:
        """Run kubectl and return its stdout."""
        words = [self.programs / "kubectl", *arguments]
        return capture_output(words, env=self.environment, stdin=stdin, timeout_s=timeout_s)

    def read_kubeconfig(self) -> dict[str, Any]:
        """Return the administrator's kubeconfig with embedded certificates."""
        words = ("config", "view", "--raw", "--flatten", "--minify", "-o", "json")
        kubeconfig: dict[str, Any] = json.loads(self.kubectl(*words))
        return kubeconfig

    def write_account_kubeconfig(self, account: str, namespace: str, folder: Path) -> Path:
        """Write a kubeconfig with an hour-long token of a service account; return its path."""
        token = self.kubectl("create", "token", account, "-n", namespace, "--duration=1h").strip()
        config = self.read_kubeconfig()
        config["users"][0]["user"] = {"token": token}
        file = folder / "kubeconfig"
        write_atomically(file, json.dumps(config), mode=0o600)
        return file

    def get(self, *arguments: str) -> Any:
        """Return objects as `kubectl get -o json` does."""
        return json.loads(self.kubectl("get", *arguments, "-o", "json"))

    def helm(self, arguments: Sequence[str | Path], progress: Progress, timeout_s: float) -> None:
        """Run helm and append its output to a log file."""
        log = cache_path("logs", "helm.log")
        run_logged(
            [self.programs / "helm", *arguments], log, env=self.environment, progress=progress, timeout_s=timeout_s
        )

    def service_address(self, service: str, namespace: str = NAMESPACE) -> str:
        """Return `host:port` of a Service; this machine has routes to the cluster's addresses."""
        spec = self.get("service", service, "-n", namespace)["spec"]
        return f"{spec['clusterIP']}:{spec['ports'][0]['port']}"

    def read_contract(self) -> Any:
        """Return the contract from the chart's ConfigMap."""
        (config_map,) = self.get("configmaps", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=contract")["items"]
        return json.loads(config_map["data"]["contract.json"])

    def read_secret(self, name: str, namespace: str = NAMESPACE) -> dict[str, str]:
        """Return the decoded values of a Secret."""
        data = self.get("secret", name, "-n", namespace)["data"]
        return {key: base64.b64decode(value).decode() for key, value in data.items()}
