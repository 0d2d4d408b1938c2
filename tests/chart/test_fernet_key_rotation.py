"""Rotation of the Fernet key while tasks are deferred, whose triggers Airflow 3 does not encrypt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.models import crypto
from airflow.models.trigger import Trigger
from cryptography.fernet import Fernet

from chart.pod_scripts import load_script

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def both_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Configure both keys, the new one first; restore Airflow's command afterwards."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", f"{NEW},{OLD}")
    monkeypatch.setattr(Trigger, "rotate_fernet_key", Trigger.rotate_fernet_key)
    crypto.get_fernet.cache_clear()
    load_script("rotate_fernet_key", monkeypatch).skip_plain_arguments()
    yield
    crypto.get_fernet.cache_clear()


def rotate_arguments(stored: str) -> str:
    """Run Airflow's rotation on stored trigger arguments and return the result."""
    trigger = Trigger("a.Trigger", {})
    trigger.encrypted_kwargs = stored
    trigger.rotate_fernet_key()
    return trigger.encrypted_kwargs


@pytest.mark.usefixtures("both_keys")
def test_plain_trigger_arguments_stay_unchanged() -> None:
    assert rotate_arguments('{"pod_name": "work"}') == '{"pod_name": "work"}'


@pytest.mark.usefixtures("both_keys")
def test_encrypted_trigger_arguments_get_the_new_key() -> None:
    assert Fernet(NEW).decrypt(rotate_arguments(Fernet(OLD).encrypt(b"{}").decode()).encode()) == b"{}"
