"""`scripts/bench faults`: inject every kind of fault, and score the diagnosis and both operators."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from benchmarks.fault_scores.catalogue.all_faults import draw_faults
from benchmarks.fault_scores.catalogue.end import failed
from benchmarks.fault_scores.catalogue.healthy import draw_healthy
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Fault, Healthy
from benchmarks.fault_scores.k8sgpt import find_k8sgpt
from benchmarks.fault_scores.overhead import measure_overhead
from benchmarks.fault_scores.page import Figures, build_section
from benchmarks.fault_scores.play import Player
from benchmarks.fault_scores.scene import GRACE_S, open_scene
from benchmarks.fault_scores.scoring import Score, list_false_alarms, score_fault
from benchmarks.fault_scores.services import run_services
from benchmarks.fault_scores.signals import watch_signals
from benchmarks.fault_scores.waves import order_by_duration, play_at_once
from common.paths import cache_path
from common.steps import Steps
from images.build import build_images
from local_cluster import cluster
from stack.release import Stack

T = TypeVar("T")

RECORD = cache_path("faults", "last-run.jsonl")
"""Everything that was observed of the faults in the last run, one per line."""

_WRITING = threading.Lock()

_IMAGES = ("airflow", "xcom-sidecar")


def measure(steps: Steps, seed: int | None = None, only: str = "") -> dict[str, Any]:
    """Draw, inject and score all faults and healthy pods.

    What an interrupted run has left is deleted at the beginning of the next one.

    Args:
        steps: receives the progress.
        seed: of the drawn names and values; by default another one in each run.
        only: the name of one family, or of faults separated by commas; without healthy pods.

    Returns:
        The section of docs/benchmarks.md.
    """
    seed = random.SystemRandom().getrandbits(32) if seed is None else seed
    draw = Draw(seed)
    families = _select(draw_faults(draw), only)
    healthy = draw_healthy(draw) if not only else []
    probe = failed(draw)
    pods: list[Fault | Healthy] = [*(fault for kinds in families.values() for fault in kinds), *healthy, probe]
    stack = _start_cluster(steps)
    with TemporaryDirectory(prefix="kpo-faults-") as name:
        services_of = run_services(stack.programs, Path(name))
        with _enter(steps, "Start the registry and its images", services_of) as services:
            scene_of = open_scene(stack, services, pods, Path(name))
            with _enter(steps, "Install the teams", scene_of) as scene, watch_signals(stack) as signals:
                player = Player(scene, signals, draw, find_k8sgpt())
                scores = _play_faults(steps, player, families)
                alarms = _play_healthy(steps, player, healthy)
                overhead = None if only else _measure_overhead(steps, player, probe)
    version = player.k8sgpt.version if player.k8sgpt else ""
    return build_section(Figures(scores, alarms, overhead, seed, version))


def _play_faults(steps: Steps, player: Player, families: dict[str, list[Fault]]) -> tuple[Score, ...]:
    """Play and score all faults; everything that is observed goes to the record."""
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.unlink(missing_ok=True)
    family_of = {fault.name: family for family, kinds in families.items() for fault in kinds}
    faults = [fault for kinds in families.values() for fault in kinds]

    def play(fault: Fault) -> Score:
        outcome = player.play(fault)
        score = score_fault(fault, family_of[fault.name], outcome, GRACE_S)
        _append_record({"score": vars(score), "outcome": outcome.to_json()})
        return score

    with steps.step(f"Inject {len(faults)} kinds of faults") as step:
        scores = play_at_once(order_by_duration(faults), play, lambda each: each.name, step.detail)
    return tuple(scores[fault.name] for fault in faults)


def _play_healthy(steps: Steps, player: Player, healthy: list[Healthy]) -> dict[str, list[str]]:
    """Run the healthy pods; return what was said about each."""

    def play(pod: Healthy) -> list[str]:
        diagnosed, run = player.play_healthy(pod)
        return list_false_alarms(diagnosed, run)

    with steps.step(f"Run {len(healthy)} healthy pods") as step:
        return play_at_once(healthy, play, lambda each: each.name, step.detail)


def _measure_overhead(steps: Steps, player: Player, probe: Fault) -> tuple[float, float]:
    with steps.step("Compare failing tasks with and without a diagnosis"):
        return measure_overhead(player.scene, player.draw, player.scene.teams[probe.name])


@contextmanager
def _enter(steps: Steps, name: str, manager: AbstractContextManager[T]) -> Iterator[T]:
    """Show the begin of a block as a step."""
    with ExitStack() as stack:
        with steps.step(name):
            value = stack.enter_context(manager)
        yield value


def _select(families: dict[str, list[Fault]], only: str) -> dict[str, list[Fault]]:
    """Select one family, or faults by their names."""
    if not only:
        return families
    if only in families:
        return {only: families[only]}
    wanted = only.split(",")
    return {family: [each for each in kinds if each.name in wanted] for family, kinds in families.items()}


def _start_cluster(steps: Steps) -> Stack:
    with steps.step("Build the images"):
        archives = build_images(lambda _: None, _IMAGES)
    with steps.step("Start Kubernetes"):
        cluster.up(steps)
    with steps.step("Load images into the cluster") as step:
        cluster.load(archives.values(), step.detail)
    return Stack(cluster.kubeconfig_path(), cluster.programs_folder())


def _append_record(content: dict[str, Any]) -> None:
    """Keep what was observed of a fault: the page has only what is wrong."""
    with _WRITING, RECORD.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(content, default=str) + "\n")
