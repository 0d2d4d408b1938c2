"""How many teams fit into one release, and what they cost: rendering, installing, changing one, removing all."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common.steps import Steps
from local_cluster import cluster
from stack import many_teams
from stack.release import Stack

_SIZES = (1, 125, 250, 500)
_TRIES = 5


def measure(steps: Steps) -> dict[str, Any]:
    """Render releases of some sizes, install the greatest beside the one that stands, and remove it again.

    Args:
        steps: told about progress.
    """
    stack = Stack(cluster.kubeconfig(), cluster.programs())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)
        rows = [_rendering(steps, stack, file, count) for count in _SIZES]
        rows += _installing(steps, stack, file)
    return {
        "title": "Many teams",
        "text": "Teams with owners, labels, quota, repository, registry, volume and a way out, in a release of their "
        f"own (`airflow.enabled: false`). Rendering: the best of {_TRIES} tries, the whole command. A Secret or "
        "ConfigMap may have 1024 KiB.",
        "columns": ["what", "figure"],
        "rows": rows,
    }


def _rendering(steps: Steps, stack: Stack, folder: Path, count: int) -> list[str]:
    file = many_teams.write(folder, many_teams.values(count))
    with steps.step(f"helm template of {count} teams"):
        best = min(_seconds(lambda: many_teams.render(stack, file)) for _ in range(_TRIES))
    return [f"`helm template` of {count} teams", f"{best:.2f} s"]


def _installing(steps: Steps, stack: Stack, folder: Path) -> list[list[str]]:
    whole, changed = many_teams.values(), many_teams.values()
    changed["teams"][many_teams.names()[0]]["labels"] = {"cost-centre": "another"}
    many_teams.remove(stack, steps.note)
    try:
        with steps.step(f"helm install of {many_teams.TEAMS} teams") as step:
            install = _seconds(lambda: many_teams.install(stack, many_teams.write(folder, whole), step.detail))
        sizes = many_teams.release_secret_bytes(stack), many_teams.contract_bytes(stack)
        with steps.step("helm upgrade that changes one of them") as step:
            upgrade = _seconds(lambda: many_teams.install(stack, many_teams.write(folder, changed), step.detail))
    finally:
        with steps.step("remove them") as step:
            remove = _seconds(lambda: many_teams.remove(stack, step.detail))
    return [
        [f"`helm install` of {many_teams.TEAMS} teams", f"{install:.0f} s"],
        ["`helm upgrade` that changes one of them", f"{upgrade:.0f} s"],
        ["`helm uninstall`, and all their namespaces deleted", f"{remove:.0f} s"],
        ["the release's Secret", f"{sizes[0] / 1024:.0f} KiB"],
        ["the contract", f"{sizes[1] / 1024:.0f} KiB"],
    ]


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
