"""lifecycle.log_follower at the end of a container whose log is refused, or was refused before."""

from __future__ import annotations

import time

import pytest

from unit.support.log_following import Follow, Written, end, wait_for
from unit.support.log_server import LogServer, Refuse

FORBIDDEN = Refuse(403, "pods is forbidden: cannot get resource pods/log")


@pytest.mark.parametrize("refusal", [FORBIDDEN, Refuse(502), Refuse(401)])
def test_end_of_the_container_ends_the_pause_after_a_refusal(
    server: LogServer, written: Written, follow: Follow, refusal: Refuse
):
    server.log.add(("01.0", b"a"))
    server.log.faults.append(refusal)
    follower = follow(retry=600, longest_retry=600)
    wait_for(lambda: len(server.log.queries) == 1)
    time.sleep(0.05)
    end(server, follower)
    assert written.texts == ["a"]


def test_pauses_are_short_again_after_the_end_of_the_container(server: LogServer, written: Written, follow: Follow):
    server.log.faults.extend([FORBIDDEN] * 10)
    follower = follow(retry=0.05, longest_retry=600)
    wait_for(lambda: len(server.log.queries) == 5)
    time.sleep(0.05)
    started_at = time.monotonic()
    end(server, follower)
    assert time.monotonic() - started_at < 1.5  # at most (1 + 2 + 4 + 8) * 0.05 s of pauses
    assert (written.texts, len(server.log.queries)) == (
        [
            f"!Cannot read the log of container base now: HTTP 403: {FORBIDDEN.message}. It is tried again.",
            f"!The log of container base may be incomplete from its start: HTTP 403: {FORBIDDEN.message}.",
        ],
        10,
    )


def test_pause_that_the_api_server_asks_for_lasts_beyond_the_end(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    server.log.faults.append(Refuse(429, headers={"Retry-After": "1"}))
    started_at = time.monotonic()
    follower = follow()
    wait_for(lambda: len(server.log.queries) == 1)
    end(server, follower)
    assert (time.monotonic() - started_at >= 1, written.texts) == (True, ["a"])


def test_outage_after_the_end_is_told_though_one_before_it_was(server: LogServer, written: Written, follow: Follow):
    server.log.add(("01.0", b"a"))
    server.log.faults.extend([Refuse(502)] * 4)
    written.before = lambda line: server.log.faults.extend([Refuse(503)] * 4)
    follower = follow(retry=0.1, longest_retry=0.4)
    wait_for(lambda: len(server.log.queries) == 4)
    end(server, follower)
    notice = "!Cannot read the log of container base now: HTTP {}: refused. It is tried again."
    assert written.texts == [notice.format(502), "a", notice.format(503)]
