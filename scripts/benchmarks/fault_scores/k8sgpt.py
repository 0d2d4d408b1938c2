"""k8sgpt, without a language model, for comparison."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from stack.release import Stack

_TIMEOUT_S = 60


@dataclass(frozen=True)
class K8sGpt:
    """The program.

    Attributes:
        program: its path.
        version: its version.
    """

    program: str
    version: str

    def ask(self, stack: Stack, pod: str, namespace: str) -> tuple[str, ...]:
        """Return what it says about a pod, and about the claims and the quota of its namespace if it names the pod."""
        words = [self.program, "analyze", "--filter=Pod", f"--namespace={namespace}", "--output=json"]
        words.append(f"--kubeconfig={stack.kubeconfig}")
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return ()
        return tuple(list_texts(done.stdout, f"{namespace}/{pod}"))


def list_texts(output: str, name: str) -> Iterator[str]:
    """List the errors of an object in the JSON of `k8sgpt analyze`."""
    start = output.find("{")
    content = json.loads(output[start:]) if start >= 0 else {}
    for result in content.get("results") or ():
        if result["name"] == name:
            yield from (error["Text"] for error in result["error"])


def find_k8sgpt() -> K8sGpt | None:
    """Find the program in PATH; None if it is not there."""
    program = shutil.which("k8sgpt")
    if program is None:
        return None
    done = subprocess.run([program, "version"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    return K8sGpt(program, " ".join((done.stdout or done.stderr).split()))
