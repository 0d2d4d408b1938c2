"""lifecycle.error_log: what Airflow's log of a task says about its failure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import pytest
import structlog
from airflow.sdk._shared.logging.structlog import structlog_processors
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from kpo_platform.airflow.operators.lifecycle.error_log import shorten_tracebacks
from kpo_platform.airflow.operators.lifecycle.result_check import check_result
from kpo_platform.contract import Contract
from kpo_platform.errors import TeamError
from unit.support.contracts import CONTRACT


@pytest.fixture
def output() -> Iterator[BytesIO]:
    """The output of a logger that is set up as in a task's process."""
    written = BytesIO()
    processors, _, writer = structlog_processors(json_output=True)
    factory = structlog.BytesLoggerFactory(written)
    structlog.configure(processors=[*processors, writer], logger_factory=factory, cache_logger_on_first_use=False)
    yield written
    structlog.reset_defaults()


def log_failure(output: BytesIO, call: Callable[[], Any]) -> list[dict[str, Any]]:
    """Log a failure as Airflow does, by a logger that existed before; return the errors that are told."""
    log = structlog.get_logger("task").bind()
    shorten_tracebacks()
    shorten_tracebacks()
    try:
        call()
    except Exception:
        log.exception("Task failed with exception")
    entry = json.loads(output.getvalue())
    assert entry["event"] == "Task failed with exception"
    errors: list[dict[str, Any]] = entry["exception"]
    return errors


def read_unknown_team() -> None:
    Contract.model_validate(CONTRACT).team("nowhere")


def test_expected_failure_is_told_as_its_sentence(output: BytesIO):
    (told,) = log_failure(output, read_unknown_team)
    assert (told["exc_type"], told["frames"]) == ("TeamError", [])
    assert told["exc_value"] == "team 'nowhere' is not in the contract. Use one of: alpha."


@pytest.mark.parametrize("kind", [AirflowException, AirflowFailException, TeamError])
def test_failure_in_the_authors_code_keeps_its_frames(output: BytesIO, kind: type[Exception]):
    def fail() -> None:
        raise kind("of the author")

    (told,) = log_failure(output, fail)
    assert [frame["name"] for frame in told["frames"]] == ["log_failure", "fail"]


def test_unexpected_failure_in_the_platform_keeps_its_frames(output: BytesIO):
    (told,) = log_failure(output, lambda: check_result({}, "base", text=5))  # type: ignore[arg-type]
    assert (told["exc_type"], told["frames"][-1]["name"]) == ("AttributeError", "count_bytes")


def test_failure_without_a_traceback_is_told_as_it_is(output: BytesIO):
    shorten_tracebacks()
    structlog.get_logger("task").error("no failure", exc_info=AirflowException("never raised"))
    assert json.loads(output.getvalue())["exception"][0]["exc_value"] == "never raised"
