"""lifecycle.stop_signal: SIGTERM and the end of ``execution_timeout`` while a request creates a pod."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from kpo_platform.airflow.operators.lifecycle.stop_signal import StopSignal, TaskStopped


@pytest.fixture
def no_handler() -> Iterator[None]:
    """Let SIGALRM have no handler of Python, as before the first timeout of a process."""
    former = signal.signal(signal.SIGALRM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGALRM, former)


@pytest.mark.usefixtures("alarm")
def test_end_of_the_time_is_told_when_nothing_is_held_any_more():
    stop, steps = StopSignal(), []
    with pytest.raises(AirflowTaskTimeout, match="Timeout, PID: 1"), stop.hold():
        with stop.hold():
            signal.raise_signal(signal.SIGALRM)
            steps.append("inner")
        steps.append("outer")
    assert steps == ["inner", "outer"]


@pytest.mark.usefixtures("alarm")
def test_end_of_the_time_is_told_also_after_a_failed_request():
    with pytest.raises(AirflowTaskTimeout), StopSignal().hold():
        signal.raise_signal(signal.SIGALRM)
        raise OSError("no answer")


@pytest.mark.usefixtures("alarm")
def test_end_of_the_time_interrupts_what_follows_at_once():
    handler = signal.getsignal(signal.SIGALRM)
    with StopSignal().hold():
        assert signal.getsignal(signal.SIGALRM) is not handler
    assert signal.getsignal(signal.SIGALRM) is handler
    with pytest.raises(AirflowTaskTimeout):
        signal.raise_signal(signal.SIGALRM)


@pytest.mark.usefixtures("alarm")
def test_end_of_the_time_is_held_also_if_the_stop_is_ignored():
    stop, steps = StopSignal(), []
    stop.ignore(lambda: None)
    with pytest.raises(AirflowTaskTimeout), stop.hold():
        signal.raise_signal(signal.SIGALRM)
        steps.append("held")
    assert steps == ["held"]


@pytest.mark.usefixtures("alarm")
def test_stop_and_end_of_the_time_during_one_request_are_told_as_a_stop():
    stop = StopSignal()
    with pytest.raises(TaskStopped), stop.listen(), stop.hold():
        signal.raise_signal(signal.SIGALRM)
        stop.receive()


@pytest.mark.usefixtures("alarm")
def test_other_thread_leaves_the_handler_of_the_main_thread():
    handler, seen = signal.getsignal(signal.SIGALRM), []

    def hold() -> None:
        with StopSignal().hold():
            seen.append(signal.getsignal(signal.SIGALRM))

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join(10)
    assert seen == [handler]


@pytest.mark.usefixtures("no_handler")
def test_signal_without_a_handler_of_python_is_left_as_it_is():
    with StopSignal().hold():
        assert signal.getsignal(signal.SIGALRM) is signal.SIG_IGN


def test_ignored_stop_is_noted_once():
    signals, notes = StopSignal(), []
    signals.ignore(lambda: notes.append("noted"))
    signals.check()
    assert notes == []
    signals.receive()
    signals.receive()
    assert notes == ["noted"]
