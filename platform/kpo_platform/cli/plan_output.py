"""Format the plan and evidence of bootstrap as text or JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kpo_platform.bootstrap.model import Action, Plan, Verb
from kpo_platform.bootstrap.verify import Evidence
from kpo_platform.cli.output import choose_mark, sanitize, write_message

_SIGNS = {
    Verb.CREATE: ("+", "green"),
    Verb.CHANGE: ("~", "yellow"),
    Verb.UNCHANGED: ("=", None),
    Verb.BLOCKED: ("!", "red"),
}

Line = tuple[str, str | None]
"""A line of text and its colour."""


def format_plan(plan: Plan) -> list[Line]:
    """Format a plan: one line per object or changed field, and a summary."""
    lines = [line for action in plan.actions for line in _format_action(action)]
    counts = ", ".join(f"{plan.count(verb)} {label}" for verb, label in _COUNT_LABELS.items())
    return [*lines, (f"Plan: {counts}.", None)]


def format_evidence(evidence: tuple[Evidence, ...]) -> list[Line]:
    """Format the evidence after a run, one line per object."""
    return [
        (sanitize(f"{sign} {item.target}: {item.seen}"), colour)
        for item in evidence
        for sign, colour in [choose_mark(healthy=item.healthy, verified=item.verified)]
    ]


def build_json(plan: Plan, evidence: tuple[Evidence, ...], applied: bool) -> dict[str, Any]:
    """Return the result of a run, which holds no secrets."""
    return {
        "applied": applied,
        "actions": [_action_to_json(action) for action in plan.actions],
        "evidence": [asdict(item) for item in evidence],
    }


class ProgressOutput:
    """Writes the progress of a run to stderr."""

    def report_task(self, task: str) -> None:
        """Report the start of a playbook task."""
        write_message(f"► {task}")

    def report_write(self, target: str, changed: bool) -> None:
        """Report a written object."""
        write_message(f"✔ {target}{'' if changed else ' (unchanged)'}")


_COUNT_LABELS = {
    Verb.CREATE: "to create",
    Verb.CHANGE: "to change",
    Verb.UNCHANGED: "unchanged",
    Verb.BLOCKED: "blocked",
}


def _format_action(action: Action) -> list[Line]:
    sign, colour = _SIGNS[action.verb]
    if action.verb is Verb.CHANGE:
        texts = [f"{change.field}: {change.old or '(none)'} → {change.new}" for change in action.changes]
    elif action.verb is Verb.BLOCKED:
        texts = [action.note]
    else:
        texts = [f"{action.verb}{f' ({action.note})' if action.note else ''}"]
    return [(sanitize(f"{sign} {action.target}: {text}"), colour) for text in texts]


def _action_to_json(action: Action) -> dict[str, Any]:
    return {
        "action": str(action.verb),
        "target": asdict(action.target),
        "changes": [asdict(change) for change in action.changes],
        "note": action.note,
    }
