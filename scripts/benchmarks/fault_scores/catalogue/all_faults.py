"""All kinds of faults, drawn with one seed."""

from __future__ import annotations

from benchmarks.fault_scores.catalogue import (
    admission,
    end,
    image,
    network,
    references,
    results,
    run,
    scheduling,
    start,
    volumes,
)
from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Build, Fault

FAMILIES: dict[str, tuple[Build, ...]] = {
    "admission": admission.FAULTS,
    "scheduling": scheduling.FAULTS,
    "volumes": volumes.FAULTS,
    "references": references.FAULTS,
    "image": image.FAULTS,
    "start": start.FAULTS,
    "network": network.FAULTS,
    "run": run.FAULTS,
    "end": end.FAULTS,
    "results": results.FAULTS,
}
"""Family → its kinds."""


def draw_faults(draw: Draw) -> dict[str, list[Fault]]:
    """Draw the names and values of every kind; family → faults."""
    return {family: [build(draw) for build in kinds] for family, kinds in FAMILIES.items()}
