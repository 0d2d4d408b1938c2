"""Text from a cluster, made safe for logs, errors and terminals."""

from __future__ import annotations

import unicodedata

_LONGEST = 1024  # as the message of a Kubernetes event


def sanitize(text: object, longest: int = _LONGEST) -> str:
    """Return text of a cluster in one line, without control or direction characters, and not too long."""
    line = " ".join(str(text).split())
    line = "".join(character for character in line if unicodedata.category(character) not in ("Cc", "Cf"))
    return line if len(line) <= longest else f"{line[:longest]}…"
