"""The secrets that Airflow hides in its logs."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

_MASKERS = ("airflow.sdk._shared.secrets_masker", "airflow._shared.secrets_masker")


@pytest.fixture(autouse=True)
def forget_secrets() -> Iterator[None]:
    """Let Airflow forget the secrets of each test.

    It compiles a pattern of all secrets that it has seen, and searches every line for it. Every kubeconfig of a test is
    a secret of its own, so each test would be slower than the one before.
    """
    yield
    for name in _MASKERS:
        if name in sys.modules:
            sys.modules[name].reset_secrets_masker()
