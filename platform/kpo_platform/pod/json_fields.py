"""Read fields of JSON that may have any shape: what is missing or malformed is empty or None."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from kpo_platform.pod.merge import Json

_FIRST_YEAR = 1971  # the kubelet writes year 1, and containerd 1970, for a time that it does not know


def read_object(value: Any) -> Json:
    """Return an object; empty if the value is something else."""
    return value if isinstance(value, dict) else {}


def read_objects(value: Any) -> list[Json]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def read_text(value: Any) -> str:
    """Return a string; empty if the value is something else."""
    return value if isinstance(value, str) else ""


def read_texts(value: Any) -> dict[str, str]:
    """Return the strings of an object."""
    return {key: text for key, text in read_object(value).items() if isinstance(key, str) and isinstance(text, str)}


def read_integer(value: Any) -> int | None:
    """Return an integer; None if the value is something else."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def read_time(value: Any) -> datetime | None:
    """Return a time (RFC 3339) with its zone; None if it is malformed or before 1971, which means unknown."""
    try:
        time = datetime.fromisoformat(read_text(value))
    except ValueError:
        return None
    if time.year < _FIRST_YEAR:
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def add_seconds(time: datetime | None, seconds: int | None) -> datetime | None:
    """Add seconds to a time; None if one of both is unknown or the sum is no time."""
    if time is None or seconds is None:
        return None
    try:
        return time + timedelta(seconds=seconds)
    except OverflowError:
        return None
