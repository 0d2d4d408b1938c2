"""The name of a task's pod."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.airflow.operators.lifecycle.start_record import build_pod_name, build_start_id

TRY = "0199c0de-1111-7000-8000-000000000001"
NEXT_TRY = "0199c0de-2222-7000-8000-000000000002"


def test_start_id_is_the_same_for_the_same_start_only():
    starts = [(TRY, 0), (TRY, 1), (TRY, 11), (NEXT_TRY, 0), (f"{TRY}1", 1)]
    ids = [build_start_id(*start) for start in starts]
    assert ids == [build_start_id(*start) for start in starts]
    assert len(set(ids)) == len(starts)
    assert ids[0] == "6959ba23b4"


@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("load", "load-0123456789"),
        ("load.tables", "load.tables-0123456789"),
        ("Load_Tables (EU)", "load-tables-eu-0123456789"),
        ("group.load-", "group.load-0123456789"),
        ("a" * 51 + "-" + "b", "a" * 51 + "-0123456789"),
        ("a" * 220, "a" * 52 + "-0123456789"),
        ("Übung", "bung-0123456789"),
        ("任务", "task-0123456789"),
        ("", "task-0123456789"),
    ],
)
def test_name_is_the_slug_and_the_id_of_the_start(base: str, name: str):
    assert build_pod_name(base, "0123456789") == name


@given(st.text(), st.text(), st.integers(min_value=0))
def test_any_task_has_a_valid_name(base: str, task_instance_id: str, restart: int):
    name = build_pod_name(base, build_start_id(task_instance_id, restart))
    assert re.fullmatch(r"[a-z0-9]([a-z0-9.-]{0,51})-[0-9a-f]{10}", name)
