"""A termination message is taken for a task's result only if it is certain to be whole.

The kubelet's own functions are played with their numbers: `tail.ReadAtMost` and `normalizeStatus`.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpo_platform.pod.message_result import RESULT_FILE, count_bytes, find_limit
from kpo_platform.pod.state import ContainerState, parse_pod_state
from unit.support.termination_message import decode_as_go, report_message


def is_whole(message: str, limit: int) -> bool:
    return count_bytes(message) < limit


def build_pod(containers: int, **others: int) -> dict[str, object]:
    counts = {"containers": containers, **others}
    return {"spec": {name: [{"name": f"{name}-{number}"} for number in range(n)] for name, n in counts.items()}}


@pytest.mark.parametrize(
    ("containers", "limit"), [(1, 4096), (2, 4096), (3, 4096), (4, 3072), (5, 2457), (12, 1024), (13, 945)]
)
def test_containers_of_a_pod_share_twelve_kibibytes(containers: int, limit: int):
    assert find_limit(build_pod(containers)) == limit


def test_init_and_ephemeral_containers_count():
    assert find_limit(build_pod(1, initContainers=2, ephemeralContainers=1)) == 3072


@pytest.mark.parametrize("pod", [{}, {"spec": None}, {"spec": {"containers": "x"}}, {"spec": {"containers": [None]}}])
def test_malformed_pod_has_the_limit_of_one_container(pod: dict[str, object]):
    assert find_limit(pod) == 4096


@pytest.mark.parametrize(("size", "whole"), [(4094, True), (4095, True), (4096, False), (4097, False)])
def test_result_that_may_be_cut_is_not_whole(size: int, whole: bool):
    assert is_whole(report_message(b"1" * size, 1), find_limit(build_pod(1))) is whole


CONTENTS = st.one_of(
    st.integers(4000, 4200).map(lambda size: b"7" * size),
    st.text(min_size=1).map(lambda text: (text * 4200).encode("utf-8", "surrogatepass")[:4300]),
    st.binary(max_size=900).map(lambda part: (part * 9)[:4300]),
    st.text(max_size=1500).map(lambda text: json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")),
)


@given(content=CONTENTS, containers=st.integers(1, 13))
def test_cut_result_is_never_taken(content: bytes, containers: int):
    limit = find_limit(build_pod(containers))
    message = report_message(content, containers)
    assert not is_whole(message, limit) or message == decode_as_go(content)


@given(text=st.text(st.characters(codec="utf-8"), max_size=4200), containers=st.integers(1, 13))
def test_result_in_utf_8_below_the_limit_is_always_taken(text: str, containers: int):
    limit = find_limit(build_pod(containers))
    message = report_message(text.encode(), containers)
    assert (message == text and is_whole(message, limit)) or count_bytes(text) >= limit


# The state of a pod


def parse_base(terminated: dict[str, object] | None, path: str | None = RESULT_FILE) -> ContainerState:
    container = {"name": "base", **({"terminationMessagePath": path} if path else {})}
    state = {"terminated": terminated} if terminated else {"running": {}}
    status = {"containerStatuses": [{"name": "base", "state": state}]}
    return parse_pod_state({"spec": {"containers": [container]}, "status": status}).container("base")


@pytest.mark.parametrize("message", ["42", ""])
def test_message_of_a_successful_program_is_its_result_and_no_cause(message: str):
    base = parse_base({"exitCode": 0, "reason": "Completed", **({"message": message} if message else {})})
    assert (base.result, base.message) == (message, "")


@pytest.mark.parametrize("message", ["42", "half a res"])
def test_message_of_a_failed_program_is_neither_result_nor_cause(message: str):
    base = parse_base({"exitCode": 3, "reason": "Error", "message": message})
    assert (base.result, base.message) == (None, "")


@pytest.mark.parametrize(
    "ended",
    [
        {"exitCode": 128, "reason": "StartError", "message": "exec: no such file"},
        {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": "The container could not be located"},
    ],
    ids=["not started", "lost"],
)
def test_message_of_runtime_or_kubelet_is_no_result(ended: dict[str, object]):
    base = parse_base(ended)
    assert (base.result, base.message) == (None, ended["message"])


def test_running_program_has_no_result():
    assert parse_base(None).result is None


@pytest.mark.parametrize("path", ["/dev/termination-log", None])
def test_message_of_another_file_is_a_cause(path: str | None):
    base = parse_base({"exitCode": 0, "message": "42"}, path)
    assert (base.result, base.message) == (None, "42")
