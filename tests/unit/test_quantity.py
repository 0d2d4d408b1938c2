"""Kubernetes quantities as numbers."""

from __future__ import annotations

import pytest

from kpo_platform.pod.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "number"),
    [("1Gi", 2**30), ("1.5Ki", 1536), ("2", 2), ("500m", 0.5), ("1e3", 1000), ("3M", 3_000_000), ("1E", 10**18)],
)
def test_quantity_is_parsed_to_a_number(text: str, number: float):
    assert parse_quantity(text) == number


@pytest.mark.parametrize("text", ["", "Gi", "1gi", "1.2.3", "1 Gi", "1mi"])
def test_invalid_quantity_raises(text: str):
    with pytest.raises(ValueError, match="is not a Kubernetes quantity"):
        parse_quantity(text)
