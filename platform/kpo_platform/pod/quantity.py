"""Kubernetes quantities such as ``1Gi``, as numbers that can be compared."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

_UNITS = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "": Decimal(1),
    **{unit: Decimal(1000) ** (step + 1) for step, unit in enumerate(("k", "M", "G", "T", "P", "E"))},
    **{unit: Decimal(1024) ** (step + 1) for step, unit in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"))},
}


def parse_quantity(text: str) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: the text is no quantity.
    """
    match = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)([numkKMGTPE]?i?)", text.strip())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is no Kubernetes quantity such as 500m, 2 or 1Gi")
    return Decimal(match[1]) * _UNITS[match[2]]


def parse_quantity_or_zero(value: Any) -> Decimal:
    """The amount of a quantity; 0 for what is not given or no quantity, which the API refuses by itself."""
    try:
        return parse_quantity(str(value)) if value is not None else Decimal(0)
    except ValueError:
        return Decimal(0)
