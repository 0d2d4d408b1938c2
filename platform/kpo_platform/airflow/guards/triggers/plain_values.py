"""The plain part of Airflow's serialization: JSON values, dates, times, time zones, tuples, sets and UUIDs.

Airflow stores a trigger's arguments as JSON of its serde (3.3, sdk/serde), or of the older BaseSerialization
(``__type`` and ``__var``). Both can name other classes, which Airflow imports and creates while it reads the
arguments, before the trigger exists. The judgement therefore works on the JSON, and knows the few harmless classes.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from kpo_platform.errors import PlatformError

_CLASS, _VERSION, _DATA = "__classname__", "__version__", "__data__"
_OLD_CLASS, _OLD_DATA = "__type", "__var"
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_RESERVED_NAMES = frozenset({"Encoding.TYPE", "Encoding.VAR"})
"""Names that serialization/decoders.py takes for ``__type`` and ``__var``."""

_MAX_DEPTH = 32
_VERSIONS = range(3)


class NotPlainError(PlatformError, ValueError):
    """A value is, or contains, an object of another class, or is not valid."""


def convert_plain(value: Any, depth: int = 0) -> Any:
    """Convert a serialized value to the same value in serde's current form.

    Args:
        value: the value as parsed from JSON.
        depth: how deep it is nested.

    Raises:
        NotPlainError: the value is not plain.
    """
    if depth > _MAX_DEPTH:
        raise NotPlainError(f"has more than {_MAX_DEPTH} levels")
    if value is None or isinstance(value, (bool, int, float, str)):
        return _check_simple_value(value)
    if isinstance(value, list):
        return [convert_plain(item, depth + 1) for item in value]
    if not isinstance(value, dict):
        raise NotPlainError(f"has a value of type {type(value).__name__}")
    if _CLASS in value:
        return _convert_object(value, depth)
    if _OLD_CLASS in value:
        return _convert_old_object(value, depth)
    for name in value:
        _check_simple_value(name)
        if name.startswith("__") or name in _RESERVED_NAMES:
            raise NotPlainError(f"has the reserved name {name[:64]!r}")
    return {name: convert_plain(item, depth + 1) for name, item in value.items()}


def unwrap_dictionary(value: Any) -> Any:
    """Return the content of a dictionary that BaseSerialization wrapped; anything else as it is."""
    if isinstance(value, dict) and value.keys() == {_OLD_CLASS, _OLD_DATA} and value[_OLD_CLASS] == "dict":
        return value[_OLD_DATA]
    return value


def read_items(value: Any) -> list[Any] | None:
    """Return the items of a plain list, tuple or set; None for anything else."""
    if isinstance(value, dict) and value.get(_CLASS) in _COLLECTIONS:
        value = value[_DATA]
    return value if isinstance(value, list) else None


def read_uuid(value: Any) -> str | None:
    """Return the text of a plain UUID, or a plain text; None for anything else."""
    if isinstance(value, dict) and value.get(_CLASS) == _UUID:
        value = value[_DATA]
    return value if isinstance(value, str) else None


def _check_simple_value(value: Any) -> Any:
    """Refuse texts and numbers that PostgreSQL does not store in JSON, or that the triggerer's processes cannot send.

    Arguments get into the trigger's event and its errors, and one that cannot be sent or stored ends the triggerer
    (3.3, models/taskinstance.py: ``next_kwargs`` is JSONB; sdk/execution_time/comms.py: msgpack has 64 bits).
    """
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise NotPlainError("has a number of more than 64 bits")
    if isinstance(value, float) and not math.isfinite(value):
        raise NotPlainError(f"has the number {value}")
    if isinstance(value, str) and _UNSTORABLE.search(value):
        raise NotPlainError("has a text with a null character or half of a surrogate pair")
    return value


def _convert_object(value: dict[str, Any], depth: int) -> dict[str, Any]:
    name, version = value[_CLASS], value.get(_VERSION)
    if not isinstance(name, str) or name not in _DATA_BY_CLASS:
        raise NotPlainError(f"has an object of class {str(name)[:200]!r}")
    if value.keys() != {_CLASS, _VERSION, _DATA} or not _is_integer(version) or version not in _VERSIONS:
        raise NotPlainError(f"has an invalid object of class {name!r}")
    return {_CLASS: name, _VERSION: version, _DATA: _DATA_BY_CLASS[name](value[_DATA], depth + 1)}


def _convert_old_object(value: dict[str, Any], depth: int) -> Any:
    name = value[_OLD_CLASS]
    if value.keys() != {_OLD_CLASS, _OLD_DATA} or not isinstance(name, str) or name not in _OLD_CLASSES:
        raise NotPlainError(f"has an object of class {str(name)[:200]!r}")
    data = value[_OLD_DATA]
    if name == "dict":
        if not isinstance(data, dict):
            raise NotPlainError("has an invalid object of class 'dict'")
        return convert_plain(data, depth + 1)
    current = _OLD_CLASSES[name]
    return {_CLASS: current, _VERSION: 1, _DATA: _DATA_BY_CLASS[current](data, depth + 1)}


def _convert_collection(data: Any, depth: int) -> Any:
    if not isinstance(data, list):
        raise NotPlainError("has an invalid collection")
    return convert_plain(data, depth)


def _convert_moment(data: Any, depth: int) -> Any:
    """Check a date and time: a time stamp, or a time stamp with a time zone."""
    if _is_number(data):
        return _check_simple_value(data)
    if not isinstance(data, dict) or data.keys() != {"timestamp", "tz"} or not _is_number(data["timestamp"]):
        raise NotPlainError("has an invalid date")
    zone = convert_plain(data["tz"], depth + 1)
    items = read_items(zone)
    if items is not None:
        is_valid = len(items) == 4 and isinstance(items[0], (str, int)) and items[1] in _TIME_ZONES
        is_valid = is_valid and _is_integer(items[2])
    else:
        is_valid = zone is None or isinstance(zone, str)
    if not is_valid:
        raise NotPlainError("has a date with an invalid time zone")
    return {"timestamp": _check_simple_value(data["timestamp"]), "tz": zone}


def _convert_duration(data: Any, depth: int) -> float:
    if not _is_number(data):
        raise NotPlainError("has an invalid duration")
    return float(_check_simple_value(data))


def _convert_text(data: Any, depth: int) -> str:
    if not isinstance(data, str):
        raise NotPlainError("has an invalid date or UUID")
    return str(_check_simple_value(data))


def _convert_time_zone(data: Any, depth: int) -> str | int:
    if not isinstance(data, str) and not _is_integer(data):
        raise NotPlainError("has an invalid time zone")
    return _check_simple_value(data)  # type: ignore[no-any-return]


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_integer(value) or isinstance(value, float)


_COLLECTIONS = ("builtins.tuple", "builtins.set", "builtins.frozenset")
_TIME_ZONES = ("pendulum.tz.timezone.Timezone", "pendulum.tz.timezone.FixedTimezone", "zoneinfo.ZoneInfo")
_UUID = "uuid.UUID"

_DATA_BY_CLASS: dict[str, Callable[[Any, int], Any]] = {
    **dict.fromkeys(_COLLECTIONS, _convert_collection),
    **dict.fromkeys(("datetime.datetime", "pendulum.datetime.DateTime"), _convert_moment),
    **dict.fromkeys(("datetime.date", "pendulum.date.Date", _UUID), _convert_text),
    "datetime.timedelta": _convert_duration,
    **dict.fromkeys(_TIME_ZONES, _convert_time_zone),
}
"""The plain classes of serde, and the check of each one's data."""

_OLD_CLASSES = {
    "dict": "",
    "datetime": "datetime.datetime",
    "timedelta": "datetime.timedelta",
    "timezone": "pendulum.tz.timezone.Timezone",
    "tuple": "builtins.tuple",
    "set": "builtins.set",
}
"""The plain classes of BaseSerialization, and their names in serde."""
