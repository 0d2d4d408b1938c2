"""Requests of tasks in the audit log, as scripts/bench sync counts them."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from benchmarks.sync.audit_log import ACCOUNT, TaskPod, count_requests, read_audit_log
from benchmarks.sync.marks import parse_time

PODS = "/api/v1/namespaces/team-alpha/pods"
EVENTS = "/api/v1/namespaces/team-alpha/events"
TASK = TaskPod("sync-1", "sleep_60", "sleep-60-abc")
OTHER = TaskPod("sync-1", "sleep_6", "sleep-6-abc")
START = "2026-11-30T01:00:00Z"


def write(audit: str, verb: str, uri: str, name: str = "", **more: Any) -> str:
    resource, _, subresource = more.pop("kind", "pods").partition("/")
    subject = {"resource": resource, "namespace": "team-alpha", "name": name, "subresource": subresource}
    event = {
        "auditID": audit,
        "stage": "ResponseComplete",
        "requestURI": uri,
        "verb": verb,
        "user": {"username": more.pop("user", ACCOUNT)},
        "objectRef": {key: text for key, text in subject.items() if text},
        "requestReceivedTimestamp": "2026-11-30T01:00:01.000000Z",
        **more,
    }
    return json.dumps(event, separators=(",", ":")) + "\n"


def test_requests_count_by_pod_field_selector_and_labels():
    selector = "dag_id%3Dsync_team%2Crun_id%3Dsync-1%2Ctask_id%3Dsleep_60%2Calready_checked%21%3DTrue"
    lines = [
        write("1", "create", PODS, TASK.pod),
        write("2", "watch", f"{PODS}?fieldSelector=metadata.name%3D{TASK.pod}&watch=True"),
        write("3", "list", f"{EVENTS}?fieldSelector=involvedObject.name%3D{TASK.pod}", kind="events"),
        write("4", "list", f"{PODS}?labelSelector={selector}"),
        write("5", "get", f"{PODS}/{TASK.pod}/log?follow=True", TASK.pod, kind="pods/log"),
        write("6", "delete", f"{PODS}/{OTHER.pod}", OTHER.pod),
        write("7", "list", PODS),
    ]
    (own, other), rest = count_requests(lines, [TASK, OTHER], parse_time(START))
    once = ("create pods", "watch pods", "list events", "list pods", "get pods/log")
    assert (own, other, rest) == (dict.fromkeys(once, 1), {"delete pods": 1}, {"list pods": 1})


def test_request_with_two_lines_counts_once():
    lines = [write("1", "watch", PODS, TASK.pod, stage=stage) for stage in ("ResponseStarted", "ResponseComplete")]
    assert count_requests(lines, [TASK], parse_time(START)) == ([{"watch pods": 1}], {})


def test_requests_of_other_accounts_and_earlier_ones_do_not_count():
    lines = [
        write("1", "get", f"{PODS}/{TASK.pod}", TASK.pod, user="system:node:kpo-node"),
        write("2", "get", f"{PODS}/{TASK.pod}", TASK.pod, impersonatedUser={"username": ACCOUNT}, user="admin"),
        write("3", "get", f"{PODS}/{TASK.pod}", TASK.pod, requestReceivedTimestamp="2026-11-30T00:59:59.9Z"),
        write("4", "get", f"{PODS}/{TASK.pod}", TASK.pod)[:-20],  # the API server still writes this line
    ]
    assert count_requests(lines, [TASK], parse_time(START)) == ([{}], {})


def test_requests_from_the_end_of_the_time_on_do_not_count():
    lines = [
        write(str(second), "list", PODS, requestReceivedTimestamp=f"2026-11-30T01:00:0{second}Z") for second in range(5)
    ]
    counted = count_requests(lines, [], parse_time(START) + 1, end=parse_time(START) + 3)
    assert counted == ([], {"list pods": 2})


def test_rotated_audit_log_is_read_in_order_without_files_from_before(tmp_path: Path):
    for number, name in enumerate(("audit-old.log", "audit-2026.log", "audit.log", "kubelet.log")):
        (tmp_path / name).write_text(f"{name}\n")
        os.utime(tmp_path / name, (1000 + 100 * number,) * 2)
    assert list(read_audit_log(tmp_path, start=1090)) == ["audit-2026.log\n", "audit.log\n"]
