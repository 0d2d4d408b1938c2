"""What is loaded into one triggerer, and the parts of the benchmark that measure it."""

from __future__ import annotations

from benchmarks.deferred.load.load_run import Load, measure_load
from benchmarks.parts import Part
from benchmarks.sync.scene import Scene
from benchmarks.sync.variants import STOCK, TEAM
from common.steps import Steps

# The ends come at the same rate with both numbers of pods. The wait is longer than the time after which the triggerer
# looks for orphans and opens its watch again.
LOADS = {
    "stock 500": Load(STOCK, 500, 60, 60),
    "team 500": Load(TEAM, 500, 330, 60),
    "team 5000": Load(TEAM, 5000, 330, 600),
}
"""Subject → its load."""

LOSS_ROUND, LOSS_ROUNDS = Load(TEAM, 5000, 0, 600), 2
"""The load of a round in which losses are counted: as many as the triggerer holds."""


def plan_triggers(steps: Steps, scene: Scene) -> Part:
    """Return the part: what a triggerer needs for many deferred tasks, and how soon it sees their ends."""
    return Part("triggers", tuple(LOADS), lambda name: measure_load(steps, scene, LOADS[name]), "Loaded triggers")


def plan_loss(steps: Steps, scene: Scene) -> Part:
    """Return the part: rounds in which lost, doubled and late tasks are counted."""
    rounds = tuple(f"round {number}" for number in range(1, LOSS_ROUNDS + 1))
    return Part("loss", rounds, lambda _: measure_load(steps, scene, LOSS_ROUND), "Lost, doubled and late tasks")
