"""lifecycle.log_writer: lines look as the stock operator's, and callbacks get the stock arguments."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from multiprocessing import get_context
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from airflow.providers.cncf.kubernetes.utils.pod_manager import PodManager
from airflow.sdk.log import configure_logging
from kubernetes.client import models as k8s

from kpo_platform.airflow.operators.lifecycle.log_flood import FLOOD_LINES
from kpo_platform.airflow.operators.lifecycle.log_writer import ContainerLogWriter, LogFormat, select_containers
from kpo_platform.pod.log_lines import LogLine, parse_line

TEXTS = ["hello %s", "ERROR: no", "[warning] x", "::group::part", "::endgroup::", "é\\xff"]
POD = k8s.V1Pod(
    metadata=k8s.V1ObjectMeta(name="p-1", namespace="n"),
    spec=k8s.V1PodSpec(
        init_containers=[k8s.V1Container(name=name) for name in ("one", "two")],
        containers=[k8s.V1Container(name=name) for name in ("base", "side", "airflow-xcom-sidecar")],
    ),
)


class Recorder:
    """A logger and a client that keep what they get."""

    def __init__(self) -> None:
        self.records: list[tuple[Any, ...]] = []

    def log(self, level: int, text: str) -> None:
        self.records.append((level, text))

    def info(self, text: str, *arguments: Any) -> None:
        self.log(logging.INFO, text % arguments)

    def warning(self, text: str, *arguments: Any) -> None:
        self.log(logging.WARNING, text % arguments)

    def error(self, text: str, *arguments: Any) -> None:
        self.log(logging.ERROR, text % arguments)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def manager(recorder: Recorder, monkeypatch: pytest.MonkeyPatch) -> PodManager:
    """A stock pod manager whose lines and prints are recorded."""
    monkeypatch.setattr(PodManager, "log", recorder)
    monkeypatch.setattr("builtins.print", lambda text: recorder.records.append(("print", text)))
    return PodManager(kube_client=SimpleNamespace())


def callback(recorder: Recorder) -> Any:
    return SimpleNamespace(progress_callback=lambda **arguments: recorder.records.append(("callback", arguments)))


def write(writer: ContainerLogWriter, *texts: str) -> None:
    for text in texts:
        line = parse_line(f"2026-01-01T00:00:01.123456789Z {text}".encode())
        assert line is not None
        list(writer.write_lines([line]))


@pytest.mark.parametrize("has_prefix", [True, False])
@pytest.mark.parametrize("formatter", [None, lambda container, text: f"<{container}> {text}"])
def test_lines_and_callbacks_are_as_the_stock_operators(
    manager: PodManager, recorder: Recorder, has_prefix: bool, formatter: Callable[[str, str], str] | None
):
    raw = b"".join(f"2026-01-01T00:00:01.123456789Z {text}\n".encode() for text in [*TEXTS, ""])
    manager._callbacks = [callback(recorder), callback(recorder)]
    stream = SimpleNamespace(read_pod_logs=lambda **_: raw.splitlines(), container_is_running=lambda *_, **__: False)
    vars(manager).update(vars(stream))
    manager.fetch_container_logs(
        POD, "base", container_name_log_prefix_enabled=has_prefix, log_formatter=formatter, follow=True
    )
    stock, recorder.records = recorder.records, []
    client = manager._client
    writer = ContainerLogWriter(
        LogFormat(manager, has_prefix, formatter), "base", POD, client, [callback(recorder), callback(recorder)]
    )
    write(writer, *TEXTS, "")
    assert recorder.records == stock


def flood(writer: ContainerLogWriter, texts: list[str]) -> list[int]:
    """Pass lines of one second, after as many as make it a flood."""
    stamp = "2026-01-01T00:00:01.000000000"
    assert len(list(writer.write_lines([LogLine(stamp, "")] * FLOOD_LINES))) == FLOOD_LINES
    return list(writer.write_lines([LogLine(stamp, text) for text in texts]))


FLOOD = ["one", "", "two %s", "ERROR: no", "::group::part", "three", "four"]


@pytest.mark.parametrize("prefix", ["[base] ", ""])
def test_lines_of_a_flood_are_joined_by_their_level(manager: PodManager, recorder: Recorder, prefix: str):
    writer = ContainerLogWriter(LogFormat(manager, has_prefix=bool(prefix)), "base", POD, None)
    assert flood(writer, FLOOD) == [3, 4, 5, 7]
    assert recorder.records == [
        (logging.INFO, f"{prefix}one\n{prefix}two %s"),
        (logging.ERROR, f"{prefix}ERROR: no"),
        ("print", "::group::part"),
        (logging.INFO, f"{prefix}three\n{prefix}four"),
    ]


@pytest.mark.parametrize("marked", ["  ::endgroup::", "10:00 ::group::part"])
def test_a_line_with_a_marker_anywhere_shares_no_record(manager: PodManager, recorder: Recorder, marked: str):
    flood(ContainerLogWriter(LogFormat(manager), "base", POD, None), ["a", marked, "b", "c"])
    assert recorder.records == [
        (logging.INFO, "[base] a"),
        (logging.INFO, f"[base] {marked}"),
        (logging.INFO, "[base] b\n[base] c"),
    ]


def test_records_of_wide_characters_take_one_write_each(manager: PodManager, recorder: Recorder):
    flood(ContainerLogWriter(LogFormat(manager), "base", POD, None), ["\u6f22" * 159] * 100)
    assert max(len(json.dumps(text, ensure_ascii=False).encode()) for _, text in recorder.records) < 32_768


def test_a_slow_programs_log_that_is_read_at_once_is_not_joined(manager: PodManager, recorder: Recorder):
    writer = ContainerLogWriter(LogFormat(manager), "base", POD, None)
    lines = [LogLine(f"2026-01-01T{number // 60:02}:{number % 60:02}:00.000000000", "x") for number in range(1_440)]
    assert len([*writer.write_lines([line for line in lines for _ in range(5)])]) == 7_200


def test_the_authors_code_gets_each_line_of_a_flood(manager: PodManager, recorder: Recorder):
    flood(ContainerLogWriter(LogFormat(manager, formatter=lambda _, text: f"<{text}>"), "base", POD, None), ["a", "b"])
    assert recorder.records == [(logging.INFO, "<a>"), (logging.INFO, "<b>")]
    lines: list[str] = []
    counting = SimpleNamespace(progress_callback=lambda **arguments: lines.append(arguments["line"]))
    flood(ContainerLogWriter(LogFormat(manager), "base", POD, None, [counting]), ["a", "b"])
    assert lines == ["a", "b"]


def test_lines_after_a_close_are_not_counted_as_written(manager: PodManager, recorder: Recorder):
    writer: ContainerLogWriter
    closing = SimpleNamespace(progress_callback=lambda line, **_: writer.close() if line == "b" else None)
    writer = ContainerLogWriter(LogFormat(manager), "base", POD, None, [closing])
    lines = [LogLine("2026-01-01T00:00:01.000000000", text) for text in ("a", "b", "c")]
    assert list(writer.write_lines(lines)) == [1]


def test_failing_callback_is_told_once_and_kept(manager: PodManager, recorder: Recorder):
    failing = SimpleNamespace(progress_callback=lambda **_: 1 / 0)
    writer = ContainerLogWriter(LogFormat(manager), "base", POD, None, [failing, callback(recorder)])
    write(writer, "a", "b")
    assert recorder.records == [
        (logging.ERROR, "The task's progress_callback failed: ZeroDivisionError: division by zero"),
        (logging.INFO, "[base] a"),
        (logging.INFO, "[base] b"),
    ]
    assert isinstance(writer.error, ZeroDivisionError)


def test_failing_formatter_is_told_once_and_lines_go_on(manager: PodManager, recorder: Recorder):
    writer = ContainerLogWriter(LogFormat(manager, formatter=lambda *_: {}["x"]), "base", POD, None)
    write(writer, "a", "b")
    assert recorder.records == [
        (logging.ERROR, "The task's log_formatter failed: KeyError: 'x'"),
        (logging.INFO, "[base] a"),
        (logging.INFO, "[base] b"),
    ]


def test_nothing_follows_the_notice_of_a_close(manager: PodManager, recorder: Recorder):
    writer: ContainerLogWriter
    closing = SimpleNamespace(progress_callback=lambda **_: writer.close("The log ends here."))
    writer = ContainerLogWriter(LogFormat(manager), "base", POD, None, [closing])
    write(writer, "a", "b")
    writer.write_notice("no")
    assert recorder.records == [(logging.WARNING, "The log ends here.")]


@pytest.mark.parametrize(
    ("containers", "init_containers", "selected", "errors"),
    [
        ("base", None, ["base"], []),
        (None, None, [], []),
        (True, True, ["one", "two", "base", "side"], []),
        (["side", "base"], ["two", "one"], ["one", "two", "side", "base"], []),
        ("none", None, [], ["container none whose logs were requested not found in the pod p-1"]),
        (["base", "no"], "one", ["one", "base"], ["Container no whose logs were requests not found in the pod p-1"]),
        (3, None, [], ["Invalid type <class 'int'> specified for container names input parameter"]),
    ],
)
def test_containers_are_selected_as_by_the_stock_operator(
    manager: PodManager, recorder: Recorder, containers: Any, init_containers: Any, selected: list[str], errors: Any
):
    assert select_containers(manager, POD, containers=containers, init_containers=init_containers) == selected
    assert recorder.records == [(logging.ERROR, text) for text in errors]


def write_from_two_threads(output: int) -> None:
    """Log as a task's process does: a thread writes the lines of a pod, and the main thread others."""
    configure_logging(json_output=True, output=os.fdopen(output, "wb", buffering=0), sending_to_supervisor=True)
    structlog.contextvars.bind_contextvars(ti_id="42")
    writer = ContainerLogWriter(LogFormat(PodManager(kube_client=SimpleNamespace())), "base", POD, None)

    def write_lines() -> None:
        for _ in range(60):
            list(writer.write_lines([LogLine("2026-01-01T00:00:01.000000000", "x" * 200_000)]))

    thread = threading.Thread(target=contextvars.copy_context().run, args=(write_lines,))
    thread.start()
    while thread.is_alive():
        logging.getLogger("library").info("y" * 200_000)


def test_lines_of_the_thread_reach_the_supervisor_whole():
    parent, child = socket.socketpair()
    task = get_context("fork").Process(target=write_from_two_threads, args=(child.fileno(),))
    with parent:
        task.start()
        child.close()
        received = b"".join(iter(lambda: parent.recv(1 << 20), b""))
    task.join(30)
    assert task.exitcode == 0
    events = [json.loads(line) for line in received.splitlines()]
    lines = [event for event in events if event["event"].startswith("[base]")]
    assert [(len(line["event"]), line["ti_id"]) for line in lines] == [(200_007, "42")] * 60
