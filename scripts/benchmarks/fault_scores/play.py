"""Inject one fault, and observe what is said about it."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.fault_scores.draw import Draw
from benchmarks.fault_scores.fault import Fault, Healthy
from benchmarks.fault_scores.fixes import apply_fix
from benchmarks.fault_scores.k8sgpt import K8sGpt
from benchmarks.fault_scores.operators import TaskRun
from benchmarks.fault_scores.outcome import Diagnosed, Healed, Outcome
from benchmarks.fault_scores.scene import RELEASE, Scene
from benchmarks.fault_scores.scoring import choose_finding
from benchmarks.fault_scores.signals import Signals
from common.errors import ScriptError

Json = dict[str, Any]

STARTUP_TIMEOUT_S = 30
"""The least `startup_timeout_seconds` of a task; also its `schedule_timeout_seconds`."""

_POLL_S = 1.0
_REST_S = 1.0
"""After the end of a pod, until it is diagnosed: its last events come a moment later."""

_LONGEST_S = 90.0
_ENDED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Player:
    """Plays faults.

    Attributes:
        scene: the place.
        signals: the benchmark's watch.
        draw: draws the names of pods.
        k8sgpt: the other program that is asked; None if it is not installed.
    """

    scene: Scene
    signals: Signals
    draw: Draw
    k8sgpt: K8sGpt | None = None

    def play(self, fault: Fault) -> Outcome:
        """Inject a fault once for each engine, at the same time, and heal it."""
        namespace = self.scene.get_namespace(fault.name)
        try:
            self.scene.create(namespace, fault.objects)
            for command in fault.commands:
                self.scene.run_kubectl(namespace, command)
        except ScriptError as error:
            return Outcome(namespace, error=f"cannot inject: {error}")
        with ThreadPoolExecutor(3) as threads:
            diagnosed = threads.submit(self._diagnose, fault, namespace) if "diagnose" in fault.engines else None
            tasks = [engine for engine in fault.engines if engine != "diagnose"]
            runs = {engine: threads.submit(self._run, engine, fault, namespace, fault.build_pod()) for engine in tasks}
        results: dict[str, TaskRun] = {engine: each.result() for engine, each in runs.items()}
        outcome = Outcome(namespace, diagnosed.result() if diagnosed else None, results)
        healed = self._heal(fault, outcome) if fault.expected.is_healable else None
        signals = {run.pod: self.signals.get(run.pod) for run in results.values() if run.pod}
        return Outcome(namespace, outcome.diagnosed, results, healed, signals)

    def play_healthy(self, pod: Healthy) -> tuple[Diagnosed, TaskRun]:
        """Run a healthy pod, and a task with it at the same time."""
        namespace = self.scene.get_namespace(pod.name)
        self.scene.create(namespace, pod.objects)
        with ThreadPoolExecutor(1) as threads:
            run = threads.submit(self._run, "team", pod, namespace, pod.build_pod())
            name = self._create(pod.build_pod(), namespace)
            phase = self._await_phase(name, namespace, (*_ENDED, pod.phase), _LONGEST_S)
            time.sleep(_REST_S)
            diagnosed = self._ask(name, namespace, phase)
        self._delete(name, namespace)
        return diagnosed, run.result()

    def _diagnose(self, fault: Fault, namespace: str) -> Diagnosed:
        try:
            name = self._create(fault.build_pod(), namespace)
        except ScriptError as error:  # it is scored: the fault was expected to come later
            return Diagnosed("", error=f"cannot create the pod: {error}")
        try:
            for command in fault.after:
                self._await_phase(name, namespace, ("Running", *_ENDED), 30)
                self.scene.run_kubectl(namespace, command, name)
            if fault.after:
                time.sleep(fault.settle_s)
            phase = self._await_phase(name, namespace, _ENDED, 0 if fault.after else fault.settle_s)
            time.sleep(_REST_S)
            return self._ask(name, namespace, phase)
        finally:
            self._delete(name, namespace)

    def _ask(self, name: str, namespace: str, phase: str) -> Diagnosed:
        """Ask `platformctl diagnose` once, and k8sgpt."""
        words: list[str | Path] = [
            self.scene.programs / "platformctl",
            "diagnose",
            name,
            "-n",
            namespace,
            "--release-namespace",
            RELEASE,
            "-o",
            "json",
        ]
        done = subprocess.run(
            words, env=self.scene.environment, capture_output=True, text=True, timeout=60, check=False
        )
        said = self.k8sgpt.ask(self.scene.stack, name, namespace) if self.k8sgpt else None
        try:
            findings = tuple(json.loads(done.stdout)["findings"])
        except ValueError:
            return Diagnosed(name, error=done.stderr[-500:], k8sgpt=said, phase=phase)
        return Diagnosed(name, findings, k8sgpt=said, phase=phase)

    def _run(self, engine: str, fault: Fault | Healthy, namespace: str, pod: Json) -> TaskRun:
        name = getattr(fault, "name_of_pod", "") or self.draw.name()
        team = self.scene.teams[fault.name]
        task = {"team": team, "namespace": namespace, "name": name, "pod": pod, "arguments": fault.arguments}
        if isinstance(fault, Healthy):
            return self.scene.operators.run(engine, {**task, "startup_timeout_s": STARTUP_TIMEOUT_S})
        task["startup_timeout_s"] = max(STARTUP_TIMEOUT_S, int(fault.settle_s) + 5)
        return self.scene.operators.run(engine, task, access=fault.access)

    def _heal(self, fault: Fault, outcome: Outcome) -> Healed:
        """Apply the fix of the finding, and run the pod again, as a task if that can have the fault."""
        finding = choose_finding(outcome)
        if finding is None:
            return Healed(error="no finding")
        try:
            pod, applied = apply_fix(self.scene, finding["fix"], fault.build_pod())
        except ScriptError as error:
            return Healed((json.dumps(finding["fix"]),), error=str(error))
        if not applied:
            return Healed(error=f"neither commands nor a patch: {finding['fix']['text']}")
        if "team" in fault.engines:
            run = self._run("team", fault, outcome.namespace, pod)
            return Healed(applied, run.state == "success", run.first_line)
        phase = self._run_plain(pod, outcome.namespace)
        return Healed(applied, phase == "Succeeded", f"the pod is {phase}")

    def _run_plain(self, pod: Json, namespace: str) -> str:
        try:
            name = self._create(pod, namespace)
        except ScriptError as error:
            return str(error)
        phase = self._await_phase(name, namespace, _ENDED, _LONGEST_S)
        self._delete(name, namespace)
        return phase

    def _create(self, pod: Json, namespace: str) -> str:
        name = self.draw.name()
        content = {**pod, "metadata": {"name": name, "namespace": namespace}}
        self.scene.stack.kubectl("create", "-f", "-", stdin=json.dumps(content))
        return name

    def _await_phase(self, name: str, namespace: str, phases: tuple[str, ...], longest_s: float) -> str:
        """Wait for a phase, at most so long; return the last one."""
        ends_at = time.monotonic() + longest_s
        while True:
            phase = str(self.scene.stack.kubectl("get", "pod", name, "-n", namespace, "-o", "jsonpath={.status.phase}"))
            if phase in phases or time.monotonic() >= ends_at:
                return phase
            time.sleep(_POLL_S)

    def _delete(self, name: str, namespace: str) -> None:
        words = ("--ignore-not-found", "--wait=false", "--grace-period=1")
        self.scene.stack.kubectl("delete", "pod", name, "-n", namespace, *words)
