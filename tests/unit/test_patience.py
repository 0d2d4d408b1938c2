"""lifecycle.patience: outages of the API server, against a real server."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException
from kubernetes.client import ApiClient, ApiException, Configuration

from kpo_platform.airflow.api_errors import read_retry_after
from kpo_platform.airflow.operators.lifecycle import api_request, pod_api
from kpo_platform.airflow.operators.lifecycle.patience import ApiServerUnavailable, Patience
from kpo_platform.airflow.operators.lifecycle.stop_signal import TaskStopped
from kpo_platform.errors import PlatformError
from unit.support.http_server import Answer, Fault, serving, status
from unit.support.virtual_time import LogLines, VirtualTime

WHAT = "read pod p in namespace n"
POD = {"metadata": {"name": "p"}}


def build_patience(timeout_s: float = 3600, **changes: Any) -> tuple[Patience, VirtualTime, list[str]]:
    """A Patience with virtual time, whose jitter is always the longest; its time and its log lines."""
    virtual, log = VirtualTime(), LogLines()
    settings: dict[str, Any] = {"clock": virtual.clock, "sleep": virtual.sleep, "random": lambda: 1.0, **changes}
    return Patience(timeout_s, log, **settings), virtual, log.lines


def get(url: str, read_timeout_s: float = 60) -> dict[str, Any]:
    client = ApiClient(Configuration(host=url))
    return api_request.send_request(client, "GET", "/api/v1/namespaces/n/pods/p", read_timeout_s=read_timeout_s)


def answering(*answers: Answer) -> Iterator[Answer]:
    """These answers one after the other, then the pod."""
    yield from answers
    while True:
        yield 200, POD


def run(*answers: Answer, patience: Patience) -> dict[str, Any]:
    """Read the pod from a server with these answers."""
    given = answering(*answers)
    with serving(lambda request: next(given)) as server:
        return patience.call(WHAT, lambda: get(server.url))


FAULTS = [
    (Fault.CLOSE, "Remote end closed connection without response"),
    (Fault.CUT, "Connection reset by peer"),
    (Fault.HANG, "no answer in time"),
    ((200, "<html>not the API server</html>"), "the answer is not a JSON object"),
    ((200, "[]"), "the answer is not a JSON object"),
    ((500, "no JSON"), "HTTP 500, Internal Server Error"),
    (status(503, "the server is\ncurrently unable to handle the request."), "HTTP 503, the server is currently unable "
     "to handle the request"),
    (status(429, "Too many requests, please try again later."), "HTTP 429, Too many requests, please try again later"),
    (status(502, "x" * 300), f"HTTP 502, {'x' * 200}…"),
    (status(504, ""), "HTTP 504, Gateway Timeout"),
    (status(409, 'Operation cannot be fulfilled on resourcequotas "q": the object has been modified'),
     'HTTP 409, Operation cannot be fulfilled on resourcequotas "q": the object has been modified'),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "reason"), FAULTS)
def test_fault_is_logged_once_and_the_request_repeated(fault: Answer, reason: str):
    patience, virtual, lines = build_patience()
    given = answering(fault, fault)
    with serving(lambda request: next(given)) as server:
        # Only a server that hangs runs into the timeout, however busy this machine is.
        timeouts_s = iter([0.5, 0.5, 60] if fault is Fault.HANG else [60] * 3)
        assert patience.call(WHAT, lambda: get(server.url, next(timeouts_s))) == POD
    assert virtual.slept == [1, 2]
    assert lines == [
        f"warning: Cannot read pod p in namespace n: {reason}. The task tries again for at most 3600 s.",
        "info: The Kubernetes API answers again after 3 s.",
    ]


def test_refused_connection_is_repeated_until_the_server_listens():
    with socket.create_server(("127.0.0.1", 0)) as unused:
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    patience, virtual, lines = build_patience()
    with serving(lambda request: (200, POD)) as server:
        assert patience.call(WHAT, lambda: get(server.url if len(virtual.slept) == 3 else closed)) == POD
    assert lines == [
        "warning: Cannot read pod p in namespace n: Connection refused. The task tries again for at most 3600 s.",
        "info: The Kubernetes API answers again after 7 s.",
    ]


def test_unknown_host_is_an_outage():
    patience, _, lines = build_patience(timeout_s=0)
    with pytest.raises(ApiServerUnavailable):
        patience.call(WHAT, lambda: get("http://api.invalid"))
    assert lines == []


@pytest.mark.parametrize("code", [400, 401, 403, 404, 405, 409, 410, 413, 422])
def test_refusal_is_raised_at_once(code: int):
    patience, virtual, lines = build_patience()
    with pytest.raises(ApiException) as refused:
        run(status(code, "no"), patience=patience)
    assert (refused.value.status, '"message": "no"' in refused.value.body) == (code, True)
    assert (virtual.slept, lines) == ([], [])


def test_wrong_code_is_raised_at_once():
    patience, virtual, _ = build_patience()
    with pytest.raises(KeyError):
        patience.call(WHAT, lambda: {}["x"])
    assert virtual.slept == []


def test_waits_grow_to_fifteen_seconds_with_full_jitter():
    numbers = iter([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.5, 0.0])
    patience, virtual, _ = build_patience(random=lambda: next(numbers))
    assert run(*[status(503, "")] * 8, patience=patience) == POD
    assert virtual.slept == [1, 2, 4, 8, 15, 15, 7.5, 0]


def test_outage_is_logged_once_a_minute():
    patience, _, lines = build_patience()
    assert run(*[status(503, "")] * 15, patience=patience) == POD
    assert lines == [
        "warning: Cannot read pod p in namespace n: HTTP 503, Service Unavailable. The task tries again for at most "
        "3600 s.",
        "warning: Still cannot read pod p in namespace n after 60 s: HTTP 503, Service Unavailable.",
        "warning: Still cannot read pod p in namespace n after 120 s: HTTP 503, Service Unavailable.",
        "info: The Kubernetes API answers again after 180 s.",
    ]


NOW = "Sun, 29 Nov 2026 09:00:00 GMT"
RETRY_AFTER = [
    ("7", 8), ("0", 1), (" 7 ", 8), ("60", 61), ("86400", 61), ("9" * 30, 61),
    ("Sun, 29 Nov 2026 09:00:20 GMT", 21), ("Mon, 29 Nov 2060 09:00:00 GMT", 61),
    # Not valid, so the jitter counts.
    ("Sun, 29 Nov 2026 08:00:00 GMT", 1), ("-5", 1), ("1e3", 1), ("nan", 1), ("inf", 1), ("soon", 1), ("9" * 400, 1),
    ("Mon, 99 Nov 2026 09:00:00 GMT", 1), ("Sun, 29 Nov 2026 09:00:20 -0000", 1), ("", 1),
]  # fmt: skip


@pytest.mark.parametrize(("value", "slept_s"), RETRY_AFTER)
def test_retry_after_is_honoured_up_to_a_minute(value: str, slept_s: float):
    patience, virtual, _ = build_patience()
    error = ApiException(status=429)
    error.headers = {"date": NOW, "Retry-After": value}
    errors = [error]
    patience.call(WHAT, lambda: throw(errors.pop()) if errors else None)
    assert virtual.slept == [slept_s]


def throw(error: Exception) -> None:
    raise error


@pytest.mark.parametrize("code", [429, 503])
@pytest.mark.parametrize(("value", "slept_s"), [("7", 8), ("86400", 61), ("Mon, 29 Nov 2060 09:00:00 GMT", 61)])
def test_retry_after_of_a_server_is_left_to_the_caller(code: int, value: str, slept_s: float):
    patience, virtual, _ = build_patience()
    assert run((code, {}, {"Retry-After": value}), patience=patience) == POD
    assert virtual.slept == [slept_s]


def test_retry_after_does_not_depend_on_the_clock_of_the_worker():
    error = ApiException(status=503)
    error.headers = {"Date": "Thu, 01 Jan 1998 00:00:00 GMT", "Retry-After": "Thu, 01 Jan 1998 00:00:30 GMT"}
    assert read_retry_after(error) == 30


def test_outage_beyond_the_timeout_names_pod_and_reason():
    patience, virtual, _ = build_patience(timeout_s=600)
    with pytest.raises(ApiServerUnavailable) as raised:
        run(*[status(503, "etcd is down")] * 100, patience=patience)
    assert str(raised.value) == (
        "Cannot read pod p in namespace n: the Kubernetes API did not answer for 600 s (policy.apiServerTimeout): HTTP "
        "503, etcd is down. The task deletes no pod for this. Check the Kubernetes API. A retry of the task takes up "
        "the pod, or its result."
    )
    assert (virtual.now, isinstance(raised.value, PlatformError), isinstance(raised.value, AirflowException)) == (
        600,
        True,
        True,
    )


def test_calls_after_the_timeout_make_one_attempt_until_the_server_answers():
    patience, virtual, lines = build_patience(timeout_s=600)
    given = answering(*[status(503, "")] * 46)
    with serving(lambda request: next(given)) as server:
        attempts = []
        for _ in range(3):
            with pytest.raises(ApiServerUnavailable):
                patience.call(WHAT, lambda: get(server.url))
            attempts.append(len(server.seen))
        assert (attempts, virtual.now) == ([44, 45, 46], 600)
        assert patience.call(WHAT, lambda: get(server.url)) == POD
    assert lines[-1] == "info: The Kubernetes API answers again after 600 s."


def test_outages_are_counted_apart():
    patience, virtual, _ = build_patience(timeout_s=20)
    for _ in range(3):
        assert run(*[status(503, "")] * 4, patience=patience) == POD
    assert virtual.slept == [1, 2, 4, 8] * 3


@pytest.mark.parametrize(("is_patient", "timeout_s"), [(True, 60), (False, 15)])
def test_only_a_request_that_need_not_succeed_has_a_short_timeout(
    is_patient: bool, timeout_s: float, monkeypatch: pytest.MonkeyPatch
):
    patience, virtual, _ = build_patience()
    seen: list[float] = []

    def send(*_: Any, read_timeout_s: float = 60, **__: Any) -> Any:
        seen.append(read_timeout_s)
        virtual.now += read_timeout_s
        return {"kind": "List", "items": []}

    monkeypatch.setattr(pod_api, "send_request", send)
    api = pod_api.PodApi(lambda: SimpleNamespace(api_client=None), patience)
    api.read_events("p", "n", is_patient=is_patient)
    api.list_by_labels("n", "a=b")
    assert (seen, patience.call_s) == ([timeout_s, 60], timeout_s + 60)  # no pod starts in an outage


FORBIDDEN = status(403, 'pods "p" is forbidden: User "a" cannot get resource "pods" in API group ""')


@pytest.mark.parametrize("refusal", [FORBIDDEN, status(401, "Unauthorized")])
def test_server_that_starts_may_refuse_what_is_allowed_for_a_minute(refusal: Answer):
    patience, virtual, lines = build_patience()
    assert run(status(503, ""), *[refusal] * 5, patience=patience) == POD
    assert (virtual.now, len(lines)) == (45, 2)
    with pytest.raises(ApiException):
        run(status(503, ""), *[refusal] * 9, patience=patience)
    assert lines[-1] == "info: The Kubernetes API answers again after 60 s."


def test_quota_refusal_after_an_outage_is_raised_at_once():
    patience, virtual, _ = build_patience()
    with pytest.raises(ApiException, match="exceeded quota"):
        run(status(503, ""), status(403, 'pods "p" is forbidden: exceeded quota: q'), patience=patience)
    assert virtual.slept == [1]


@pytest.fixture
def stop_soon() -> Iterator[Callable[[], None]]:
    """Raise TaskStopped from a signal handler after 0.1 s, as SIGTERM does."""

    def stop(*_: Any) -> None:
        raise TaskStopped

    former = signal.signal(signal.SIGALRM, stop)
    yield lambda: signal.setitimer(signal.ITIMER_REAL, 0.1) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, former)


@pytest.mark.parametrize("fault", [Fault.HANG, (503, {}, {"Retry-After": "50"})])
def test_signal_passes_through_a_request_and_a_sleep_at_once(stop_soon: Callable[[], None], fault: Answer):
    patience = Patience(3600, LogLines())
    client = ApiClient()
    with serving(lambda request: fault) as server:
        client.configuration.host = server.url
        began_at = time.monotonic()
        stop_soon()
        with pytest.raises(TaskStopped):
            patience.call(WHAT, lambda: api_request.send_request(client, "GET", "/"))
    assert time.monotonic() - began_at < 5
