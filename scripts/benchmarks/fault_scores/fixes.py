"""Apply a fix as it is printed."""

from __future__ import annotations

import json
import subprocess
from typing import Any

from benchmarks.fault_scores.scene import Scene
from stack.release import Stack

Json = dict[str, Any]

PLACEHOLDER_RULE = (
    "a command that reads `/dev/stdin` gets `DRAWN=value` if it reads lines (`--from-env-file`), else `value`"
)
"""How what a printed command leaves open is filled."""

_TIMEOUT_S = 60


def apply_fix(scene: Scene, fix: Json, pod: Json) -> tuple[Json, tuple[str, ...]]:
    """Run the commands of a fix, and apply its patch to a pod.

    Args:
        scene: the place.
        fix: the fix of a finding, as in JSON.
        pod: the pod before.

    Returns:
        The pod to run, and what was applied.
    """
    applied = [_run_command(scene, command) for command in fix["commands"]]
    patch = fix.get("patch")
    if patch:
        pod = _apply_patch(scene.stack, pod, patch)
        applied.append(f"patch {json.dumps(patch)}")
    return pod, tuple(applied)


def choose_input(command: str) -> str:
    """Choose what a command reads from standard input, by `PLACEHOLDER_RULE`."""
    if "/dev/stdin" not in command:
        return ""
    return "DRAWN=value\n" if "--from-env-file" in command else "value"


def _run_command(scene: Scene, command: str) -> str:
    try:
        done = subprocess.run(
            ["sh", "-c", command],
            env=scene.environment,
            input=choose_input(command),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"{command} (not ended within {_TIMEOUT_S} s)"
    return command if done.returncode == 0 else f"{command} (exit code {done.returncode}: {done.stderr.strip()[:300]})"


def _apply_patch(stack: Stack, pod: Json, patch: Json) -> Json:
    """Apply a strategic merge patch to a pod that is not in the cluster."""
    words = ("patch", "--local", "--type=strategic", "-f", "-", "-p", json.dumps(patch), "-o", "json")
    content = {**pod, "metadata": {"name": "draft", **pod["metadata"]}}
    patched: Json = json.loads(stack.kubectl(*words, stdin=json.dumps(content)))
    return {**patched, "metadata": pod["metadata"]}
