"""Size and duration of releases with many teams: render, install, change a team, uninstall."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks.timer import measure_seconds
from common.steps import Steps
from local_cluster import cluster
from stack import many_teams
from stack.release import Stack

_SIZES = (1, 125, 250, 500)
_TRIES = 5


def measure(steps: Steps) -> dict[str, Any]:
    """Render releases of several sizes, install the largest as a second release, and uninstall it.

    Args:
        steps: receives the progress.
    """
    stack = Stack(cluster.kubeconfig_path(), cluster.programs_folder())
    with tempfile.TemporaryDirectory() as folder:
        rows = [_measure_rendering(steps, stack, Path(folder), count) for count in _SIZES]
        rows += _measure_installation(steps, stack, Path(folder))
    return {
        "title": "Many teams",
        "text": "Teams with owners, labels, quota, repository, registry, volume and egress rule, in a release of their "
        f"own (`airflow.enabled: false`). Rendering: the whole command, best of {_TRIES}. The limit of a Secret or "
        "ConfigMap is 1024 KiB.",
        "columns": ["measurement", "value"],
        "rows": rows,
    }


def _measure_rendering(steps: Steps, stack: Stack, folder: Path, count: int) -> list[str]:
    file = many_teams.write_values(folder, many_teams.release_values(count))
    with steps.step(f"helm template of {count} teams"):
        best = min(measure_seconds(lambda: many_teams.render_release(stack, file)) for _ in range(_TRIES))
    return [f"`helm template` of {count} teams", f"{best:.2f} s"]


def _measure_installation(steps: Steps, stack: Stack, folder: Path) -> list[list[str]]:
    values, changed_values = many_teams.release_values(), many_teams.release_values()
    changed_values["teams"][many_teams.team_names()[0]]["labels"] = {"cost-centre": "another"}
    many_teams.uninstall_release(stack, steps.note)
    try:
        with steps.step(f"helm install of {many_teams.TEAMS} teams") as step:
            install = measure_seconds(
                lambda: many_teams.install_release(stack, many_teams.write_values(folder, values), step.detail)
            )
        sizes = many_teams.get_release_secret_size(stack), many_teams.get_contract_size(stack)
        with steps.step("helm upgrade that changes one team") as step:
            upgrade = measure_seconds(
                lambda: many_teams.install_release(stack, many_teams.write_values(folder, changed_values), step.detail)
            )
    finally:
        with steps.step("helm uninstall") as step:
            remove = measure_seconds(lambda: many_teams.uninstall_release(stack, step.detail))
    return [
        [f"`helm install` of {many_teams.TEAMS} teams", f"{install:.0f} s"],
        ["`helm upgrade` that changes one team", f"{upgrade:.0f} s"],
        ["`helm uninstall` and deletion of all namespaces", f"{remove:.0f} s"],
        ["size of the release Secret", f"{sizes[0] / 1024:.0f} KiB"],
        ["size of the contract", f"{sizes[1] / 1024:.0f} KiB"],
    ]
