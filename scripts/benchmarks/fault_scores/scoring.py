"""Score what was said about faults; no access to a cluster."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.fault_scores.fault import Engine, Expected, Fault
from benchmarks.fault_scores.operators import TaskRun
from benchmarks.fault_scores.outcome import Diagnosed, Outcome

Json = dict[str, Any]

_CODE = re.compile(r"\[(KPO-[A-Z]+\d+)")
_REFUSALS = ("RefusedPod", "RefusalError", "ArgumentRefusalError", "PodNameTaken")
"""Errors of pods that the platform itself refuses: they have no code of a cause."""

_REASON = re.compile(r"[A-Za-z]+")


@dataclass(frozen=True)
class Score:
    """The score of one fault.

    Attributes:
        fault: its name.
        family: its family.
        right: what was scored → whether it names cause and object.
        said: what was scored → what was said, for the list of wrong ones.
        is_healed: of a fault that was marked as healable; None of the others.
        is_advised: whether the finding names object, field and who acts; None of a healable one.
        cause_s: seconds from Kubernetes' signal until the cause was in the task's log; None if it cannot be told.
        end_s: seconds from the signal, or from the end of the grace, until the task had failed.
    """

    fault: str
    family: str
    right: Mapping[str, bool]
    said: Mapping[str, str]
    is_healed: bool | None = None
    is_advised: bool | None = None
    cause_s: float | None = None
    end_s: float | None = None


def score_fault(fault: Fault, family: str, outcome: Outcome, grace_s: float) -> Score:
    """Score a fault.

    Args:
        fault: the fault.
        family: its family.
        outcome: what was observed.
        grace_s: how long tasks wait for what may still be created.
    """
    right: dict[str, bool] = {}
    said: dict[str, str] = {}
    for engine in fault.engines:
        right[engine], said[engine] = _score_engine(fault, engine, outcome)
    if outcome.diagnosed is not None and outcome.diagnosed.k8sgpt is not None:
        said["k8sgpt"] = outcome.diagnosed.k8sgpt[0] if outcome.diagnosed.k8sgpt else ""
        right["k8sgpt"] = has_words(said["k8sgpt"], fault.expected, outcome.namespace)
    is_healable = fault.expected.is_healable and not is_refused_before(fault, outcome)
    return Score(
        fault.name,
        family,
        right,
        said,
        is_healed=(outcome.healed is not None and outcome.healed.is_well) if is_healable else None,
        is_advised=None if is_healable else _is_advised(fault, outcome),
        cause_s=_measure_cause(outcome, fault.expected),
        end_s=_measure_end(outcome, fault.expected, grace_s),
    )


def choose_finding(outcome: Outcome) -> Json | None:
    """Choose the finding whose fix is applied: that of `platformctl diagnose`, else that of the task."""
    if outcome.diagnosed is not None:
        return next(iter(outcome.diagnosed.findings), None)
    run = outcome.runs.get("team")
    return next(iter(run.causes), None) if run else None


def is_refused_before(fault: Fault, outcome: Outcome) -> bool:
    """Whether the platform has refused the pod of a task before the cluster was asked, so that there is no finding."""
    run = outcome.runs.get("team")
    return "diagnose" not in fault.engines and run is not None and run.kind in _REFUSALS


def is_right_finding(expected: Expected, finding: Json | None, pod: str, namespace: str) -> bool:
    """Whether a finding has an expected code and object.

    Args:
        expected: what is expected.
        finding: the finding; None if there is none.
        pod: the name of the pod.
        namespace: its namespace.
    """
    if finding is None or finding["code"] not in expected.codes:
        return False
    kind, _, name = expected.about.replace("{namespace}", namespace).partition(" ")
    found = finding["object"]
    if kind == "*":
        return True
    return bool(found["kind"] == kind) and (found["name"] == name if name else found["name"] == pod or not pod)


def has_words(text: str, expected: Expected, namespace: str) -> bool:
    """Whether a text has all words that name the fault."""
    patterns = (words.replace(r"\{namespace\}", re.escape(namespace)) for words in expected.words)
    return bool(text) and all(re.search(pattern, text, re.IGNORECASE) for pattern in patterns)


def is_advised(expected: Expected, finding: Json | None) -> bool:
    """Whether a finding names its object, the field to change, and who acts."""
    if finding is None or not finding["object"]["name"]:
        return False
    fix = finding["fix"]
    text = " ".join([fix["text"], *fix["commands"]])
    return bool(re.search(expected.advice, text, re.IGNORECASE)) and expected.who in ("*", fix["who"])


def choose_line(run: TaskRun) -> str:
    """Choose the line of a task that is scored: the first of its error; without one the first line with a code."""
    if run.state in ("success", "running"):
        return next((text for _, text in run.lines if _CODE.search(text)), "")
    return run.first_line


def list_false_alarms(diagnosed: Diagnosed, run: TaskRun) -> list[str]:
    """List what was said about a healthy pod although nothing is wrong, or what has kept it from being asked about."""
    alarms = [f"diagnose: {finding['code']} {finding['cause']}" for finding in diagnosed.findings]
    alarms += [f"diagnose: {diagnosed.error}"] if diagnosed.error else []
    alarms += [f"task {run.state}: {run.first_line}"] if run.state != "success" else []
    return [*alarms, *(f"task: {text}" for _, text in run.lines if _CODE.search(text))]


def _score_engine(fault: Fault, engine: Engine, outcome: Outcome) -> tuple[bool, str]:
    expected, namespace = fault.expected, outcome.namespace
    if engine == "diagnose":
        diagnosed = outcome.diagnosed
        if diagnosed is None:
            return False, outcome.error
        finding = next(iter(diagnosed.findings), None)
        is_right = is_right_finding(expected, finding, diagnosed.pod, namespace)
        return is_right, _describe(finding) or diagnosed.error
    run = outcome.runs.get(engine)
    if run is None:
        return False, outcome.error
    line = run.all_first_lines if engine == "stock" and run.state == "failed" else choose_line(run)
    if not has_words(line, expected, namespace):
        return False, line or f"({run.state})"
    return engine == "stock" or _is_right_task(fault, run, line, namespace), line


def _is_right_task(fault: Fault, run: TaskRun, line: str, namespace: str) -> bool:
    """Whether the code of a line and its finding's object are right; a pod refused beforehand has none."""
    code = _CODE.search(line)
    if code is None:
        return run.kind in _REFUSALS
    finding = next((each for each in run.causes if each["code"] == code[1]), None)
    if finding is None:  # what a task says of its result is not a diagnosis, and is about its pod
        return code[1] in fault.expected.codes and fault.expected.about in ("Pod", "*")
    return is_right_finding(fault.expected, finding, "", namespace)


def _describe(finding: Json | None) -> str:
    if finding is None:
        return ""
    about = finding["object"]
    return f"{finding['code']} {about['kind']} {about['name']}: {finding['cause']}"


def _is_advised(fault: Fault, outcome: Outcome) -> bool:
    if is_refused_before(fault, outcome):
        return bool(re.search(fault.expected.advice, outcome.runs["team"].error, re.IGNORECASE))
    finding, run = choose_finding(outcome), outcome.runs.get("team")
    if finding is None and run is not None and _CODE.search(line := choose_line(run)):
        return bool(re.search(fault.expected.advice, line, re.IGNORECASE))  # of a result
    return is_advised(fault.expected, finding)


def _measure_cause(outcome: Outcome, expected: Expected) -> float | None:
    run = outcome.runs.get("team")
    signal_at = _find_signal(outcome, expected)
    if run is None or signal_at is None:
        return None
    code = run.causes[0]["code"]
    times = [at for at, text in run.lines if f"[{code}" in text]
    return round(min([*times, run.ended_at]) - signal_at - expected.silence_s, 2)


def _measure_end(outcome: Outcome, expected: Expected, grace_s: float) -> float | None:
    """Measure how late the failure is; None if the pod could still have started, or nothing shows since when not."""
    run = outcome.runs.get("team")
    signal_at = _find_signal(outcome, expected)
    if run is None or signal_at is None or run.state != "failed":
        return None
    outlook = run.causes[0]["outlook"]
    if outlook == "waits":
        return None
    return round(run.ended_at - signal_at - (grace_s if outlook == "grace" else 0), 2)


def _find_signal(outcome: Outcome, expected: Expected) -> float | None:
    """Find when the benchmark's watch has seen the reason that is the evidence of the task's first cause."""
    run = outcome.runs.get("team")
    if run is None or not run.causes or not run.causes[0]["evidence"]:
        return None
    reason = _REASON.match(run.causes[0]["evidence"][0])
    return outcome.signals.get(run.pod, {}).get(expected.signal or (reason[0] if reason else ""))
