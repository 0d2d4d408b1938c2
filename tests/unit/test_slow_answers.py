"""airflow.workarounds.slow_answers: a triggerer that answers one question between two looks into its database."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from kpo_platform.airflow import workarounds
from kpo_platform.airflow.workarounds import slow_answers
from kpo_platform.airflow.workarounds.slow_answers import answer_all_requests


class Supervisor:
    """Reads one byte at a time, as Airflow's reads one request."""

    def __init__(self) -> None:
        self.sent, self._received = socket.socketpair()
        self.selector = selectors.DefaultSelector()
        self.selector.register(self._received, selectors.EVENT_READ)
        self.read = b""
        self.waits: list[float] = []

    def _service_subprocess(self, max_wait_time: float, raise_on_timeout: bool = False) -> int | None:
        self.waits.append(max_wait_time)
        if self.selector.select(0):
            self.read += self._received.recv(1)
        return 0 if self.read.endswith(b"x") else None

    def close(self) -> None:
        """Close the sockets."""
        for each in (self.sent, self._received, self.selector):
            each.close()  # type: ignore[attr-defined]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    """A supervisor of a corrected class."""

    class Corrected(Supervisor):
        """A class of its own, so that the correction is undone."""

    answer_all_requests(SimpleNamespace(TriggerRunnerSupervisor=Corrected))
    answer_all_requests(SimpleNamespace(TriggerRunnerSupervisor=Corrected))
    found = Corrected()
    yield found
    found.close()


def test_all_that_waits_is_read_in_one_turn(supervisor: Supervisor):
    supervisor.sent.send(b"a" * 30)
    assert supervisor._service_subprocess(1) is None
    assert (supervisor.read, supervisor.waits) == (b"a" * 30, [1] + [0] * 29)


def test_turn_ends_with_the_process_and_says_so(supervisor: Supervisor):
    supervisor.sent.send(b"aaxaa")
    assert (supervisor._service_subprocess(1), supervisor.read) == (0, b"aax")


def test_turn_ends_after_half_a_second_at_the_latest(supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slow_answers, "_LONGEST_S", 0)
    supervisor.sent.send(b"aaa")
    supervisor._service_subprocess(1)
    assert supervisor.read == b"a"


def test_wait_for_the_end_of_the_process_is_airflows(supervisor: Supervisor):
    supervisor.sent.send(b"aaa")
    supervisor._service_subprocess(1, raise_on_timeout=True)
    assert supervisor.read == b"a"


def test_supervisor_that_has_closed_all_sockets_ends_its_turn(supervisor: Supervisor):
    supervisor.selector.unregister(supervisor._received)
    assert supervisor._service_subprocess(1) is None


def test_triggerer_is_corrected_after_its_import(monkeypatch: pytest.MonkeyPatch):
    from airflow.jobs.triggerer_job_runner import TriggerRunnerSupervisor

    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", "/nowhere/contract.json")
    airflows: Any = TriggerRunnerSupervisor._service_subprocess
    monkeypatch.setattr(TriggerRunnerSupervisor, "_service_subprocess", airflows, raising=False)
    callbacks: dict[str, Callable[[], None]] = {}
    monkeypatch.setattr(workarounds, "call_after_import", callbacks.__setitem__)
    workarounds.install()
    callbacks[workarounds.TRIGGERER_MODULE]()
    assert TriggerRunnerSupervisor._service_subprocess is not airflows


def test_other_airflow_runs_as_it_is():
    with pytest.raises(AttributeError):
        answer_all_requests(SimpleNamespace(TriggerRunnerSupervisor=SimpleNamespace()))
