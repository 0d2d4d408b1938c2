"""CPU time of the idle stack with the chart's settings, and with Airflow's defaults in their place."""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks.parts import Part
from benchmarks.sync.idle_cpu import measure_cpu
from benchmarks.sync.variants import CHART, DEFAULTS, SETTINGS, mirror
from common.steps import Steps
from stack.install import install_release
from stack.release import Stack

_SETTLE_S = 90.0


def plan_idle(steps: Steps, stack: Stack) -> Part:
    """Return the part: two minutes with each of the settings.

    After an interruption the stack may have Airflow's defaults; the next installation ends that.
    """
    return Part("idle", tuple(mirror((CHART, DEFAULTS))), _IdleRuns(steps, stack).measure, "Idle CPU")


class _IdleRuns:
    def __init__(self, steps: Steps, stack: Stack) -> None:
        self._steps, self._stack, self._installed = steps, stack, CHART

    def measure(self, settings: str) -> dict[str, Any]:
        """Return the CPU seconds by component."""
        if settings != self._installed:
            self._install(settings)
        time.sleep(_SETTLE_S)  # the end of earlier tasks, or the start of the components
        return {"settings": settings, "components": measure_cpu(self._stack)}

    def _install(self, settings: str) -> None:
        with TemporaryDirectory(prefix="kpo-platform-") as folder:
            file = Path(folder) / "values.yaml"
            file.write_text(yaml.safe_dump({"config": SETTINGS[settings]}))
            install_release(self._steps, self._stack, file)
        self._installed = settings
