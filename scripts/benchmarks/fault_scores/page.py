"""The section of docs/benchmarks.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.fault_scores.fixes import PLACEHOLDER_RULE
from benchmarks.fault_scores.scoring import Score

_LONGEST = 220

_TEXT = (
    "Every kind of fault is injected into pods of this cluster, with names and values drawn at random in each run. "
    "Scored by a program, against what was stated before. *Diagnose*: one `platformctl diagnose POD -o json` with the "
    "rights of an administrator, a second after the end of the pod, or 25 s after its creation (some kinds later); its "
    "first finding must have an expected code and object. *Task*: the first line of the error of `TeamPodOperator`, "
    "executed without Airflow's services, with the rights of Airflow and `rbac/node-reader.yaml`; it must have the "
    "code, the object and the words that name cause and object, or refuse the pod itself with these words. *Stock*: "
    "the first lines of the error of the stock operator and of the errors before it; they must have these words. "
    "Refused pods do not exist, so only tasks are scored. *Healed*: kinds marked beforehand, whose fix was applied as "
    f"printed (commands, then the patch), and whose program then succeeded; {PLACEHOLDER_RULE}. *Advised*: for the "
    "others, the finding names the object, the expected argument or field, and who acts."
)


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        scores: of the faults.
        alarms: healthy pod → what was said about it although nothing is wrong.
        overhead: median seconds of a failing task with its diagnosis, and without; None if not measured.
        seed: of the drawn names and values.
        k8sgpt: its version; empty if it was not asked.
    """

    scores: tuple[Score, ...]
    alarms: Mapping[str, list[str]]
    overhead: tuple[float, float] | None
    seed: int
    k8sgpt: str = ""


def build_section(figures: Figures) -> dict[str, Any]:
    """Build the section: summary, families, and everything that was wrong."""
    return {
        "title": "Diagnosis of injected faults",
        "text": _TEXT,
        "columns": ["measurement", "goal", "value"],
        "rows": _build_summary(figures),
        "tables": [_build_families(figures), *_build_errors(figures)],
        "seed": figures.seed,
    }


def count(values: Iterable[bool | None]) -> str:
    """Tell how many of the values that are known are true, such as ``9 of 10 (90 %)``."""
    known = [value for value in values if value is not None]
    share = f" ({100 * sum(known) / len(known):.0f} %)" if known else ""
    return f"{sum(known)} of {len(known)}{share}"


def describe_seconds(values: Iterable[float | None]) -> str:
    """Tell median, 95th percentile and maximum of the values that are known."""
    known = sorted(value for value in values if value is not None)
    if len(known) < 2:
        return ""
    late = statistics.quantiles(known, n=20, method="inclusive")[-1]
    return f"{statistics.median(known):.2f}, {late:.2f}, {known[-1]:.2f} s ({len(known)} tasks)"


def _build_summary(figures: Figures) -> list[list[str]]:
    scores = figures.scores
    wrong = sum(bool(alarms) for alarms in figures.alarms.values())
    rows = [
        ["kinds of faults, healthy pods", "≥ 45, ≥ 15", f"{len(scores)}, {len(figures.alarms)}"],
        ["right cause and object: diagnose", "≥ 95 %", _count_right(scores, "diagnose")],
        ["right cause and object: task", "≥ 95 %", _count_right(scores, "team")],
        ["right cause and object: stock operator", "", _count_right(scores, "stock")],
    ]
    if figures.k8sgpt:
        rows.append([f"right cause and object: k8sgpt ({figures.k8sgpt})", "", _count_right(scores, "k8sgpt")])
    rows += [
        ["healed by the printed fix", "≥ 90 %", count(score.is_healed for score in scores)],
        ["advised", "", count(score.is_advised for score in scores)],
        ["healthy pods with a finding", "0", f"{wrong} of {len(figures.alarms)}"],
        ["signal → cause in the task's log: p50, p95, max", "≤ 2 s", describe_seconds(s.cause_s for s in scores)],
        ["certain, or grace over → task failed: p50, p95, max", "", describe_seconds(s.end_s for s in scores)],
    ]
    if figures.overhead is not None:
        with_diagnosis, without = figures.overhead
        value = f"{with_diagnosis:.2f}, {without:.2f} s"
        rows.append(["failing task with its diagnosis, and without: p50", "≤ 2 s more", value])
    return rows


def _build_families(figures: Figures) -> dict[str, Any]:
    families = list(dict.fromkeys(score.family for score in figures.scores))
    rows = []
    for family in families:
        scores = [score for score in figures.scores if score.family == family]
        engines = [_count_right(scores, engine) for engine in ("diagnose", "team", "stock", "k8sgpt")]
        healed = count(score.is_healed for score in scores)
        rows.append([family, str(len(scores)), *engines, healed, count(score.is_advised for score in scores)])
    columns = ["family", "kinds", "diagnose", "task", "stock", "k8sgpt", "healed", "advised"]
    return {"text": "By family.", "columns": columns, "rows": rows}


def _build_errors(figures: Figures) -> list[dict[str, Any]]:
    rows = [
        [score.fault, engine, _cut(score.said.get(engine, ""))]
        for score in figures.scores
        for engine in ("diagnose", "team")
        if score.right.get(engine) is False
    ]
    rows += [[score.fault, "fix", "not healed"] for score in figures.scores if score.is_healed is False]
    rows += [[score.fault, "advice", "not as expected"] for score in figures.scores if score.is_advised is False]
    rows += [[name, "healthy", _cut("; ".join(alarms))] for name, alarms in figures.alarms.items() if alarms]
    columns = ["kind", "scored", "said"]
    return [{"text": "Everything that was not right.", "columns": columns, "rows": rows}] if rows else []


def _count_right(scores: Iterable[Score], engine: str) -> str:
    return count(score.right.get(engine) for score in scores)


def _cut(text: str) -> str:
    """Cut a text for a cell of a table."""
    plain = " ".join(text.replace("|", "/").split())
    return plain if len(plain) <= _LONGEST else f"{plain[: _LONGEST - 1]}…"
