"""bootstrap.connections.airflow_api: requests to Airflow's REST API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kpo_platform.bootstrap.connections.airflow_api import connect_by_url
from kpo_platform.errors import AirflowError
from kpo_platform.kube import Deadline
from unit.support.http_server import Answer, Request, serving

BODY = {"connection_id": "k8s default", "conn_type": "kubernetes", "extra": '{"password": "s3cret"}'}


def get_error(answer: Answer) -> str:
    with serving(lambda _: answer) as server, pytest.raises(AirflowError) as error:
        connect_by_url(server.url, Deadline(30)).put_connection(BODY)
    return str(error.value).replace(server.url, "URL")


def test_requests_after_login_carry_token_and_url_path():
    def answer(request: Request) -> Answer:
        return (201, {"access_token": "abc"}) if request.method == "POST" else (200, {"conn_type": "kubernetes"})

    with serving(answer) as server:
        airflow = connect_by_url(f"{server.url}/airflow/", Deadline(30))
        airflow.log_in("admin", "s3cret", "")
        assert airflow.get_connection("k8s/default") == {"conn_type": "kubernetes"}
    assert server.seen == [
        Request("POST", "/airflow/auth/token", {"username": "admin", "password": "s3cret"}),
        Request("GET", "/airflow/api/v2/connections/k8s%2Fdefault"),
    ]
    assert server.seen[1].headers["authorization"] == "Bearer abc"


def test_wrong_password_names_airflow_and_the_fix():
    with serving(lambda _: (401, {"detail": "Invalid credentials"})) as server, pytest.raises(AirflowError) as error:
        connect_by_url(server.url, Deadline(30)).log_in("admin", "s3cret", "Find it.")
    assert str(error.value) == f"Airflow ({server.url}) rejected the user name or password. Find it."


def test_missing_connection_is_none():
    with serving(lambda _: (404, {"detail": "not found"})) as server:
        assert connect_by_url(server.url, Deadline(30)).get_connection("k8s_default") is None


@pytest.mark.parametrize(("first", "methods"), [(201, ["POST"]), (409, ["POST", "PATCH"])])
def test_put_creates_a_connection_or_changes_an_existing_one(first: int, methods: list[str]):
    with serving(lambda request: (first if request.method == "POST" else 200, {})) as server:
        connect_by_url(server.url, Deadline(30)).put_connection(BODY)
    assert [request.method for request in server.seen] == methods
    assert all(request.body == BODY for request in server.seen)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (401, {"detail": "expired"}),
            "rejected the token for the write of connection k8s default: it may have expired. Run again.",
        ),
        (
            (403, {"detail": "Forbidden"}),
            "rejected the write of connection k8s default: HTTP 403, Forbidden. See the log of its api-server.",
        ),
        ((500, "oops"), "rejected the write of connection k8s default: HTTP 500. See the log of its api-server."),
        ((200, []), "rejected the write of connection k8s default: HTTP 200. See the log of its api-server."),
    ],
)
def test_rejected_write_names_status_and_detail(answer: Answer, message: str):
    assert get_error(answer) == f"Airflow (URL) {message}"


def test_rejected_field_is_named_without_its_value():
    echo: dict[str, Any] = {"loc": ["body", "extra"], "msg": "Value error", "input": BODY}
    message = get_error((422, {"detail": [echo]}))
    assert "s3cret" in json.dumps(echo)
    assert message == (
        "Airflow (URL) rejected the write of connection k8s default: HTTP 422, body.extra: Value error. "
        "See the log of its api-server."
    )


def test_unreachable_airflow_is_named_by_its_url():
    with serving(lambda _: (200, {})) as server:
        pass
    with pytest.raises(AirflowError) as error:
        connect_by_url(server.url, Deadline(30)).get_connection("k8s_default")
    assert str(error.value).startswith(f"Airflow ({server.url}) did not answer: [Errno 111] Connection refused.")


@pytest.mark.parametrize("url", ["airflow.test", "ftp://airflow.test", "http://", "http://host:port"])
def test_invalid_url_is_rejected(url: str):
    with pytest.raises(AirflowError, match="is not a URL of Airflow"):
        connect_by_url(url, Deadline(30))
