"""Followers of a served log, and what they write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pytest
from kubernetes.client import ApiClient, Configuration

from kpo_platform.airflow.operators.lifecycle.log_follower import LogFollower
from kpo_platform.airflow.operators.lifecycle.log_stream import FollowTimes
from kpo_platform.pod.log_lines import LogLine, LogPosition
from unit.support.log_server import LogServer, serving_log

TIMES = FollowTimes(retry=0.02, longest_retry=0.1, ended=0.05, connect=1, silence=30, end_silence=0.2, end_read=5)
DAY = "2026-01-01T00:00:"


@dataclass
class Written:
    """A writer that keeps what it gets; notices start with "!"."""

    texts: list[str] = field(default_factory=list)
    is_closed: bool = False
    before: Callable[[LogLine], object] = lambda line: None

    @property
    def lines(self) -> list[str]:
        return [text for text in self.texts if not text.startswith("!")]

    def write_lines(self, lines: Sequence[LogLine]) -> Iterator[int]:
        for count, line in enumerate(lines, 1):
            self.before(line)
            if self.is_closed:
                return
            self.texts.append(line.text)
            yield count

    def write_notice(self, text: str) -> None:
        if not self.is_closed:
            self.texts.append(f"!{text}")

    def close(self, notice: str = "") -> None:
        if notice:
            self.write_notice(notice)
        self.is_closed = True


@pytest.fixture
def server() -> Iterator[LogServer]:
    with serving_log() as server:
        yield server


@pytest.fixture
def written() -> Written:
    return Written()


@pytest.fixture
def follow(server: LogServer, written: Written) -> Callable[..., LogFollower]:
    """Start a follower of the log."""
    client = ApiClient(Configuration(host=server.url))

    def start(*, position: LogPosition | None = None, is_ended: bool = False, **times: float) -> LogFollower:
        follower = LogFollower(
            lambda: client,
            *("p-1", "team-alpha", "base", written),
            position=position,
            times=replace(TIMES, **times),
        )
        if is_ended:
            server.log.end()
            follower.container_ended()
        follower.start()
        return follower

    return start


Follow = Callable[..., LogFollower]


def wait_for(is_done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_done():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def end(server: LogServer, follower: LogFollower) -> None:
    server.log.end()
    follower.container_ended()
    assert follower.join(10)
