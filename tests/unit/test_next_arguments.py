"""airflow.guards.triggers.next_arguments: the arguments with which a task resumes, in every process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.models import trigger

from kpo_platform.airflow import guards
from kpo_platform.airflow.guards.triggers.next_arguments import guard_next_arguments
from kpo_platform.airflow.guards.triggers.plain_values import NotPlainError
from unit.support.contracts import CONTRACT, write_contract

HIDDEN = {"x": [{"__classname__": "airflow.sdk.definitions.asset.Asset", "__version__": 1, "__data__": {"name": "a"}}]}


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Run what `install` registers for the module of triggers, as in a scheduler, which has nothing else of it."""
    write_contract(tmp_path / "contract.json", CONTRACT)
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(tmp_path / "contract.json"))
    monkeypatch.setattr(trigger, "_decode_next_kwargs", trigger._decode_next_kwargs)  # restored after the test
    callbacks: dict[str, Callable[[], None]] = {}
    monkeypatch.setattr(guards, "call_after_import", callbacks.__setitem__)
    guards.install()
    return callbacks["airflow.models.trigger"]


def test_import_of_the_model_guards_it_once(install: Callable[[], None]):
    install()
    guarded = trigger._decode_next_kwargs
    install()
    assert trigger._decode_next_kwargs is guarded
    assert guarded({"x": 1}) == guarded({"__type": "dict", "__var": {"x": 1}}) == {"x": 1}
    with pytest.raises(NotPlainError, match=r"^has an object of class 'airflow\.sdk\.definitions\.asset\.Asset'$"):
        guarded(HIDDEN)


def test_other_airflow_does_not_end_the_import(install: Callable[[], None], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(trigger, "_decode_next_kwargs")
    install()
    with pytest.raises(AttributeError):  # which ends the API server
        guard_next_arguments(SimpleNamespace())
