"""Wait for changes of a pod: by a watch, or by polling if the watch is refused."""

from __future__ import annotations

import math
import random
import time
from typing import Any

from kubernetes.client import ApiException
from urllib3.exceptions import ProtocolError, ReadTimeoutError

from kpo_platform.airflow.api_errors import ConnectionUnreadable, advise, describe_error, is_of_proxy, read_retry_after
from kpo_platform.airflow.operators.lifecycle.bell import Bell
from kpo_platform.airflow.operators.lifecycle.connection import read_client
from kpo_platform.airflow.operators.lifecycle.observed_pod import ObservedPod, PodUnreadable
from kpo_platform.airflow.operators.lifecycle.pod_watch import PodWatch, WatchEnd

_SHORTEST_S = 1.0
_SILENCE_S = 5.0
"""The shortest wait for news before the task looks at a pod that has not started, because the limits of the start do
not count an outage of the API server, which a watch does not notice; or at one whose watch a proxy may hold back."""

_REPORT_S = 2.0
"""How long the kubelet has to report the end of a container whose log has ended, before the task looks at the pod."""

_REFUSED_S = 60.0
"""How long a refused watch is not tried again: an API server that has just started refuses what it will allow. The
longest pause after another failure, too."""

_FAILURES_BEFORE_NOTICE = 3

_PENDING, _RUNNING = (0.1, 10.0), (1 / 60, 5.0)
_LOOKS_AFTER_LOG_END = 3
"""The kubelet reports a container's end up to some seconds after the end of its log."""


class PodUpdates:
    """The next state of a pod, whose `outcome` is not known yet.

    Args:
        operator: the task's operator.
        pod: the pod, which is changed by `wait`.
        news: ends a wait when another thread rings it, because a log has ended or the author's code has failed.
    """

    def __init__(self, operator: Any, pod: ObservedPod, news: Bell) -> None:
        self._operator, self._pod, self._news = operator, pod, news
        self._interval = PollInterval(operator)
        self._watch: PodWatch | None = None
        self._version = pod.version_of_creation
        self._watches_from, self._failures, self._has_told = -math.inf, 0, False
        self._asked_s, self._looked_at = 0.0, time.monotonic()
        self._has_log_ended = self._was_held_back = self._is_doubtful = False

    def wait(self, longest_s: float, pause_s: float = math.inf) -> None:
        """Wait for news of the pod, at most for `longest_s`; after `pause_s` return without a look at the pod.

        Exceptions as of `PodApi`.
        """
        if self._watch is None:
            self._begin()
        if self._watch is not None:
            self._wait_for_watch(self._watch, longest_s, pause_s)
        elif self._pod.outcome is None:
            self._look(longest_s, pause_s)

    def close(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.close()

    def _begin(self) -> None:
        """Watch the pod from its last known version, or from that of a list; the version of the pod may be too old."""
        pause_s = self._watches_from - time.monotonic()
        if pause_s > _SHORTEST_S:
            return
        if pause_s > 0 and self._operator.stop_signal.wait(self._news, pause_s):
            self._news.ring()  # it is meant for the wait that follows
        try:
            version = self._version or self._pod.refresh_with_version()
            client = read_client(self._operator)  # in this thread: it may read the connection again
        except (PodUnreadable, ConnectionUnreadable) as error:
            cause = error.__cause__
            self._note_failure(cause if isinstance(cause, Exception) else error, is_refused=True)
            return
        self._version = ""
        if not version:
            self._watches_from = math.inf  # what answers knows no versions
        elif self._pod.outcome is None:
            state = self._pod.state
            pod = (state.name, state.namespace, state.uid)
            self._is_doubtful = self._was_held_back or not self._pod.has_left_pending  # its start would be reported
            self._watch = PodWatch(lambda: client.api_client, pod, version, on_change=self._news.ring)
            self._watch.start()

    def _wait_for_watch(self, watch: PodWatch, longest_s: float, pause_s: float) -> None:
        is_pending = not self._pod.has_left_pending
        is_polled = is_pending or (self._is_doubtful and not watch.has_worked)
        if is_polled:
            longest_s = min(longest_s, self._get_rest(max(_SILENCE_S, self._choose_interval())))
        if self._has_log_ended and not is_pending:
            longest_s = min(longest_s, _REPORT_S)
        is_woken = self._operator.stop_signal.wait(self._news, min(longest_s, pause_s))
        end, (found, is_gone) = watch.end, watch.take()
        has_news = found is not None or is_gone
        if has_news:
            self._pod.take(found, is_gone=is_gone)
            self._looked_at = time.monotonic()
        elif not is_woken and longest_s <= pause_s and (is_polled or self._has_log_ended):
            self._refresh()
        self._has_log_ended = is_woken and not has_news and end is None
        if end is not None and self._pod.outcome is None:
            self._replace(watch, end)

    def _replace(self, watch: PodWatch, end: WatchEnd) -> None:
        """Prepare another watch; it is doubtful if nothing came of this one, not even an answer of the API server."""
        self._watch = None
        if watch.has_worked:
            self._was_held_back = isinstance(end.error, ReadTimeoutError)
            # The next one begins with a list: a cluster that was restored from a backup may not have come to the
            # version of this one, and would say nothing.
            self._failures, self._version = 0, ""
            self._watches_from = time.monotonic() + (random.uniform(0.5, 1) * _SHORTEST_S if end.error else 0)
        else:
            self._was_held_back |= not isinstance(end.error, ApiException) or is_of_proxy(end.error)
            self._note_failure(end.error or ProtocolError("it ended without an event"), is_refused=end.is_refused)

    def _note_failure(self, error: Exception, *, is_refused: bool) -> None:
        self._failures += 1
        asked_s = read_retry_after(error)
        self._asked_s = asked_s + random.random() if asked_s else 0.0
        pause_s = _REFUSED_S if is_refused else min(2.0**self._failures, _REFUSED_S)
        self._watches_from = time.monotonic() + max(pause_s, self._asked_s)
        if not self._has_told and (is_refused or self._failures >= _FAILURES_BEFORE_NOTICE):
            self._has_told = True
            self._operator.log.warning(
                "Cannot watch pod %s: %s. The task polls it instead, and notices its end later. %s",
                *(self._pod.state.name, describe_error(error), advise(error)),
            )

    def _look(self, longest_s: float, pause_s: float) -> None:
        longest_s = min(longest_s, self._get_rest(max(self._choose_interval(), self._asked_s)))
        is_woken = self._operator.stop_signal.wait(self._news, min(longest_s, pause_s))
        if is_woken:
            self._interval.hurry()
        if is_woken or longest_s <= pause_s:
            self._refresh()

    def _refresh(self) -> None:
        self._pod.refresh()
        self._looked_at = time.monotonic()

    def _get_rest(self, interval_s: float) -> float:
        """Return the seconds until the next look, which follows this interval after the last one."""
        return max(0.0, self._looked_at + interval_s - time.monotonic())

    def _choose_interval(self) -> float:
        pod = self._pod
        return self._interval.choose(is_scheduled=pod.state.is_scheduled, has_started=pod.has_left_pending)


class PollInterval:
    """The seconds until the next look, which grow with the time that a pod waits or runs.

    They are a tenth of the waiting time, at most 10 s, and a sixtieth of the running time, at most 5 s. An interval
    that the task's author sets stays as it is.
    """

    def __init__(self, operator: Any) -> None:
        names = ("startup_check_interval_seconds", "base_container_status_polling_interval")
        self._set_s = [float(getattr(operator, name)) if name in operator.set_names else 0.0 for name in names]
        self._stage = (False, False)
        self._since = time.monotonic()
        self._hurried_looks = 0

    def choose(self, *, is_scheduled: bool, has_started: bool) -> float:
        """Return the seconds until the next look at a pod that has a node, or whose program has started."""
        if (is_scheduled, has_started) != self._stage:
            self._stage, self._since = (is_scheduled, has_started), time.monotonic()
        share, longest_s = _RUNNING if has_started else _PENDING
        growing_s = (time.monotonic() - self._since) * share
        seconds = self._set_s[has_started] or min(max(_SHORTEST_S, growing_s), longest_s)
        if self._hurried_looks:
            self._hurried_looks -= 1
            return min(seconds, _SHORTEST_S)
        return seconds

    def hurry(self) -> None:
        """Take short intervals for a moment: a log has ended, so its container has probably ended."""
        self._hurried_looks = _LOOKS_AFTER_LOG_END
