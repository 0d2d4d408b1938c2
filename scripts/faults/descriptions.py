"""Outcomes of faults in words, for the table of a page."""

from __future__ import annotations

from collections.abc import Mapping

from faults.case_run import Outcome
from faults.logged_lines import LineFaults


def describe_outcomes(outcomes: Mapping[str, Outcome], log_faults: Mapping[str, LineFaults] | None = None) -> str:
    """Return the outcomes of a case in words.

    Args:
        outcomes: task → outcome; tasks with the same words are described once.
        log_faults: task → faults of the numbered lines in its log, for cases with such lines.
    """
    texts = {task: describe_outcome(outcome) for task, outcome in outcomes.items()}
    for task, faults in (log_faults or {}).items():
        texts[task] += _describe_lines(faults)
    if len(set(texts.values())) <= 1:
        return next(iter(texts.values()), "not played")
    return "; ".join(f"{task}: {text}" for task, text in texts.items())


def describe_outcome(outcome: Outcome) -> str:
    """Return an outcome in words, such as `success without the work`."""
    words = [_describe_state(outcome)]
    if outcome.ends > 1:
        words.append(f"work done {outcome.ends} times")
    if outcome.starts > 1:
        words.append(f"{outcome.starts} starts")
    if outcome.running:
        words.append("a pod runs on" if outcome.running == 1 else f"{outcome.running} pods run on")
    return ", ".join(words)


def _describe_state(outcome: Outcome) -> str:
    if outcome.state == "success":
        return "success" if outcome.ends else "success without the work"
    if outcome.state == "failed":
        return "failed although the work was done" if outcome.ends else "failed"
    return outcome.state if outcome.state in ("skipped",) else f"does not end ({outcome.state})"


def _describe_lines(faults: LineFaults) -> str:
    counts = {"missing": len(faults.missing), "doubled": len(faults.doubled)}
    texts = [f"{count} {'line' if count == 1 else 'lines'} {name}" for name, count in counts.items() if count]
    return "".join(f", {text}" for text in texts)
