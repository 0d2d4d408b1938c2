"""Kinds of failures that are told apart by the words of a message."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from kpo_platform.diagnosis.cause import Outlook


@dataclass(frozen=True)
class MessageKind:
    """A kind of failure.

    Attributes:
        name: of the cause in the `RULES` of its family.
        pattern: the texts that show it.
        outlook: whether the pod can still start.
        text: the sentence, with the fields that the family fills in.
        fix: what to do.
        who: who must do it, if not the author of the task.
    """

    name: str
    pattern: str
    outlook: Outlook
    text: str
    fix: str
    who: str = ""


def find_kind(kinds: Iterable[MessageKind], message: str) -> tuple[MessageKind, re.Match[str]] | tuple[None, None]:
    """Find the first kind that a message shows, and what its pattern has matched."""
    matches = ((kind, re.search(kind.pattern, message, re.IGNORECASE)) for kind in kinds)
    return next(((kind, match) for kind, match in matches if match), (None, None))
