"""diagnosis.start_wait: how long a pod that does not start is waited for."""

from __future__ import annotations

import math

import pytest

from kpo_platform.diagnosis.cause import Cause, Outlook
from kpo_platform.diagnosis.start_wait import StartWait
from kpo_platform.finding import Finding, Fix, ObjectRef


def build_cause(outlook: Outlook, name: str = "a") -> Cause:
    return Cause(
        Finding("KPO-X100", "error", ObjectRef("Secret", name, "n"), "It is so", (), Fix("Change it.")), outlook
    )


FINAL, GRACE, WAITS = (build_cause(outlook) for outlook in ("final", "grace", "waits"))


def test_pod_that_can_never_start_is_not_waited_for():
    assert StartWait().find_failure([WAITS, FINAL], 0) is FINAL


def test_missing_object_is_waited_for_until_the_grace_is_over():
    wait = StartWait(60)
    assert [wait.find_failure([GRACE], now) for now in (5, 64.9, 65)] == [None, None, GRACE]


def test_grace_of_an_object_begins_when_it_is_first_missing():
    wait, other = StartWait(60), build_cause("grace", "b")
    assert wait.find_failure([GRACE], 0) is None
    assert wait.find_failure([GRACE, other], 59) is None
    assert wait.find_failure([other], 118) is None
    assert wait.find_failure([other], 119) is other


def test_grace_begins_again_for_an_object_that_was_there_meanwhile():
    wait = StartWait(60)
    found = [wait.find_failure(causes, now) for causes, now in ((([GRACE]), 0), ([], 30), ([GRACE], 31), ([GRACE], 90))]
    assert found == [None] * 4
    assert wait.find_failure([GRACE], 91) is GRACE


def test_pod_that_may_start_without_help_is_waited_for_without_a_limit():
    assert StartWait().find_failure([WAITS], 1e9) is None


def test_each_cause_is_new_once_and_the_one_that_ends_the_wait_never():
    wait, other = StartWait(), build_cause("grace", "b")
    assert [wait.list_new(causes) for causes in ([GRACE], [GRACE, other], [other, FINAL])] == [[GRACE], [other], []]


@pytest.mark.parametrize(("causes", "remaining"), [([], math.inf), ([WAITS], math.inf), ([GRACE], 50)])
def test_rest_of_the_wait_is_that_of_the_grace(causes: list[Cause], remaining: float):
    wait = StartWait(60)
    wait.find_failure(causes, 0)
    assert wait.get_remaining(10) == remaining
