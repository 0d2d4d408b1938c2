"""Kubernetes quantities such as ``1Gi``."""

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
    """Parse a quantity to a number.

    Raises:
        ValueError: the string is not a quantity.
    """
    match = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)([numkKMGTPE]?i?)", text.strip())
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{text!r} is not a Kubernetes quantity such as 500m, 2 or 1Gi")
    return Decimal(match[1]) * _UNITS[match[2]]


def parse_quantity_or_zero(value: Any) -> Decimal:
    """Parse a quantity; 0 for None and for an invalid quantity, which `check_syntax` refuses."""
    try:
        return parse_quantity(str(value)) if value is not None else Decimal(0)
    except ValueError:
        return Decimal(0)
