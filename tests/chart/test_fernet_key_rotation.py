"""A Fernet key is replaced while tasks are deferred, whose triggers Airflow 3 does not encrypt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from airflow.models import crypto
from airflow.models.trigger import Trigger
from cryptography.fernet import Fernet

from chart.test_scripts import script

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))


@pytest.fixture
def both_keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both keys count, and the new one encrypts; Airflow's command is as it was again afterwards."""
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", f"{NEW},{OLD}")
    monkeypatch.setattr(Trigger, "rotate_fernet_key", Trigger.rotate_fernet_key)
    crypto.get_fernet.cache_clear()
    script("rotate_fernet_key", monkeypatch).leave_plain_arguments()
    yield
    crypto.get_fernet.cache_clear()


def rotated(stored: str) -> str:
    """What Airflow's command makes of a trigger's arguments as they are stored."""
    trigger = Trigger("a.Trigger", {})
    trigger.encrypted_kwargs = stored
    trigger.rotate_fernet_key()
    return trigger.encrypted_kwargs


@pytest.mark.usefixtures("both_keys")
def test_plain_arguments_of_a_trigger_stay_as_they_are() -> None:
    assert rotated('{"pod_name": "work"}') == '{"pod_name": "work"}'


@pytest.mark.usefixtures("both_keys")
def test_encrypted_arguments_of_a_trigger_are_encrypted_anew() -> None:
    assert Fernet(NEW).decrypt(rotated(Fernet(OLD).encrypt(b"{}").decode()).encode()) == b"{}"
