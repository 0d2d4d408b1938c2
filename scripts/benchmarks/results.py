"""A soak of results: termination messages that are taken although they are cut, or refused although they are whole."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from benchmarks.machine import read_conditions
from common.files import write_atomically
from common.paths import cache_path
from common.steps import Steps
from faults.messages import report_batch
from stack.install import install_stack

RESULTS = 10_000
_NAMESPACE = "results-soak"


def measure(steps: Steps) -> dict[str, Any]:
    """Let the kubelet report 10,000 results around the limits; an interrupted soak of the same commit continues.

    Args:
        steps: receives the progress.
    """
    file = cache_path("soak", f"results-{read_conditions()['commit']}.json")
    counts: dict[str, int] = json.loads(file.read_text()) if file.exists() else dict.fromkeys(_COUNTS, 0)
    stack = install_stack(steps)
    namespace = json.dumps({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _NAMESPACE}})
    stack.kubectl("apply", "-f", "-", stdin=namespace)
    stack.kubectl("delete", "pods", "-n", _NAMESPACE, "--all", "--wait", "--timeout=60s", timeout_s=70)
    while counts["results"] < RESULTS:
        with steps.step(f"Batch {counts['batches'] + 1}: {counts['results']} of {RESULTS} results") as step:
            reports = list(report_batch(stack, _NAMESPACE, counts["batches"], Random(counts["batches"])))
            counts["batches"] += 1
            counts["results"] += len(reports)
            counts["taken"] += sum(report.is_taken for report in reports)
            counts["false"] += sum(report.is_false for report in reports)
            step.detail(str(counts))
        write_atomically(file, json.dumps(counts))
    stack.kubectl("delete", "namespace", _NAMESPACE, "--wait=false")
    return render_counts(counts)


_COUNTS = ("batches", "results", "taken", "false")


def render_counts(counts: dict[str, int]) -> dict[str, Any]:
    """Return the result of all batches."""
    return {
        "title": "Results as termination messages",
        "text": "Contents of random bytes and characters with sizes around the kubelet's limits, in pods with 1 to 12 "
        "containers. Taken: passed on as a whole result. False: taken although it may be cut, or whole but refused or "
        "changed.",
        "columns": ["results", "pods' batches", "taken", "false"],
        "rows": [[counts["results"], counts["batches"], counts["taken"], counts["false"]]],
    }
