"""How a plan and its evidence look, as text for people and as JSON for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from kpo_platform.bootstrap.model import Action, Plan, Verb
from kpo_platform.bootstrap.verify import Evidence
from kpo_platform.cli.output import clean, mark, say

_SIGNS = {
    Verb.CREATE: ("+", "green"),
    Verb.CHANGE: ("~", "yellow"),
    Verb.UNCHANGED: ("=", None),
    Verb.BLOCKED: ("!", "red"),
}

Line = tuple[str, str | None]
"""A line of text and its colour."""


def plan_lines(plan: Plan) -> list[Line]:
    """A plan, one line per object or changed field, and a summary."""
    lines = [line for action in plan.actions for line in _action_lines(action)]
    counts = ", ".join(f"{plan.count(verb)} {word}" for verb, word in _COUNTED.items())
    return [*lines, (f"Plan: {counts}.", None)]


def evidence_lines(evidence: tuple[Evidence, ...]) -> list[Line]:
    """What was found after the run, one line per object."""
    return [
        (clean(f"{sign} {each.target}: {each.seen}"), colour)
        for each in evidence
        for sign, colour in [mark(healthy=each.healthy, verified=each.verified)]
    ]


def as_json(plan: Plan, evidence: tuple[Evidence, ...], applied: bool) -> dict[str, Any]:
    """The whole result of a run; it holds nothing secret."""
    return {
        "applied": applied,
        "actions": [_action_json(action) for action in plan.actions],
        "evidence": [asdict(each) for each in evidence],
    }


class Talk:
    """Tells a person how far a run is."""

    def task_started(self, task: str) -> None:
        """A task of the playbook begins."""
        say(f"► {task}")

    def object_written(self, target: str, changed: bool) -> None:
        """An object is written."""
        say(f"✔ {target}{'' if changed else ' (it was so already)'}")


_COUNTED = {
    Verb.CREATE: "to create",
    Verb.CHANGE: "to change",
    Verb.UNCHANGED: "unchanged",
    Verb.BLOCKED: "blocked",
}


def _action_lines(action: Action) -> list[Line]:
    sign, colour = _SIGNS[action.verb]
    if action.verb is Verb.CHANGE:
        texts = [f"{each.field}: {each.old or '(none)'} → {each.new}" for each in action.changes]
    elif action.verb is Verb.BLOCKED:
        texts = [action.note]
    else:
        texts = [f"{action.verb}{f' ({action.note})' if action.note else ''}"]
    return [(clean(f"{sign} {action.target}: {text}"), colour) for text in texts]


def _action_json(action: Action) -> dict[str, Any]:
    return {
        "action": str(action.verb),
        "target": asdict(action.target),
        "changes": [asdict(each) for each in action.changes],
        "note": action.note,
    }
