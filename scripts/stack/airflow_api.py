"""Client of Airflow's REST API."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from common.errors import ScriptError
from common.polling import NotYet, wait_for

_TIMEOUT_S = 30
_PAGE = 100  # the longest one of Airflow


class NotFoundError(ScriptError):
    """Airflow responds with status 404."""


class NoResponseError(ScriptError):
    """Airflow does not respond, or with an error of its own (5xx): it starts, restarts, or has no database."""


@dataclass
class AirflowApi:
    """A client of Airflow's REST API.

    Attributes:
        address: `host:port` of the API server, and the base path.
        username: the user's name.
        password: the user's password; never printed.
    """

    address: str
    username: str
    password: str = field(repr=False)
    _token: str = field(default="", repr=False)

    def discard_token(self) -> None:
        """Discard the token; the next request logs in again.

        Required after a change of Airflow's JWT key, for example.
        """
        self._token = ""

    def get(self, path: str) -> Any:
        """GET a path below /api/v2."""
        return self.call("GET", f"/api/v2/{path}")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """POST to a path below /api/v2."""
        return self.call("POST", f"/api/v2/{path}", body)

    def patch(self, path: str, body: dict[str, Any]) -> Any:
        """PATCH a path below /api/v2."""
        return self.call("PATCH", f"/api/v2/{path}", body)

    def delete(self, path: str) -> None:
        """DELETE a path below /api/v2."""
        self.call("DELETE", f"/api/v2/{path}")

    def trigger_run(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Unpause a DAG, trigger a run and return the run's id."""
        self.patch(f"dags/{dag}", {"is_paused": False})
        return str(self.post(f"dags/{dag}/dagRuns", {"logical_date": None, "conf": conf or {}})["dag_run_id"])

    def wait_for_version(self, dag: str, version: str, deadline_s: float = 120) -> None:
        """Wait until Airflow has loaded a DAG from a commit of its repository.

        Args:
            dag: the DAG's id.
            version: the commit's full hash.
            deadline_s: seconds to wait.
        """

        def is_loaded(details: dict[str, Any]) -> bool:
            return bool(details["bundle_version"] == version)

        self.wait_for_dag(dag, is_loaded, f"at {version[:12]}", deadline_s)

    def wait_for_dag(
        self, dag: str, is_expected: Callable[[dict[str, Any]], bool], expected: str, deadline_s: float
    ) -> dict[str, Any]:
        """Wait until Airflow has loaded a DAG as expected, and return its details.

        Args:
            dag: the DAG's id.
            is_expected: whether these details are the expected ones.
            expected: the expected state, for the error.
            deadline_s: seconds to wait.
        """

        def probe() -> dict[str, Any]:
            try:
                details: dict[str, Any] = self.get(f"dags/{dag}/details")
            except NotFoundError:
                raise NotYet(f"no DAG {dag}; import errors: {self._import_errors() or 'none'}") from None
            except NoResponseError as error:
                raise NotYet(str(error)) from None
            if is_expected(details):
                return details
            seen = {name: details[name] for name in ("bundle_version", "is_stale", "tags")}
            raise NotYet(f"{dag} has {seen}; import errors: {self._import_errors() or 'none'}")

        return wait_for(f"Airflow to load {dag} {expected}", probe, deadline_s, interval_s=1)

    def wait_for_run(self, dag: str, run: str, deadline_s: float = 300) -> str:
        """Wait until a run has ended and return its state: success or failed."""

        def probe() -> str:
            try:
                state = str(self.get(f"dags/{dag}/dagRuns/{quote(run)}")["state"])
                if state in {"success", "failed"}:
                    return state
                tasks = {task["task_id"]: task["state"] for task in self.list_task_instances(dag, run)}
            except NoResponseError as error:
                raise NotYet(str(error)) from None
            raise NotYet(f"run {state}, tasks {tasks}")

        return wait_for(f"run {run} of {dag} to end", probe, deadline_s, interval_s=1)

    def list_task_instances(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"dags/{dag}/dagRuns/{quote(run)}/taskInstances?limit={_PAGE}"
        found: list[dict[str, Any]] = []
        while True:
            page = self.get(f"{path}&offset={len(found)}")
            found.extend(page["task_instances"])
            if len(found) >= page["total_entries"]:
                return found

    def read_log(self, dag: str, run: str, task: str, attempt: int = 1, map_index: int = -1) -> str:
        """Return the log of one try of a task, one line per event."""
        path = f"dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task}/logs/{attempt}?full_content=true"
        path += f"&map_index={map_index}"
        lines = self.get(path)["content"]
        return "\n".join(_log_line(line) for line in lines)

    def read_xcom(self, dag: str, run: str, task: str, key: str = "return_value") -> Any:
        """Return an XCom value of a task."""
        path = f"dags/{dag}/dagRuns/{quote(run)}/taskInstances/{task}/xcomEntries/{key}?stringify=false"
        return self.get(path)["value"]

    def _import_errors(self) -> str:
        errors = self.get("importErrors")["import_errors"]
        return "; ".join(f"{error['filename']}: {error['stack_trace'][-300:]}" for error in errors)

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """Send a request to any path and return the response."""
        self.get_token()
        return self._send(method, path, body)

    def get_token(self) -> str:
        """Log in unless there is a token, and return the token."""
        if not self._token:
            credentials = {"username": self.username, "password": self.password}
            self._token = self._send("POST", "/auth/token", credentials)["access_token"]
        return self._token

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://{self.address}{path}", data, headers, method=method)
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
                request, timeout=_TIMEOUT_S
            ) as reply:
                return json.loads(reply.read() or "null")
        except urllib.error.HTTPError as error:
            message = (
                f"Airflow responded to {method} {path} with {error.code}: {error.read(500).decode(errors='replace')}"
            )
            kind = NoResponseError if error.code >= 500 else NotFoundError if error.code == 404 else ScriptError
            raise kind(message) from None
        except (OSError, http.client.HTTPException) as error:
            raise NoResponseError(f"Airflow at {self.address} did not respond to {method} {path}: {error}") from error


def _log_line(line: dict[str, Any] | str) -> str:
    """Return the text of a log event with its exceptions."""
    if isinstance(line, str):
        return line
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or []]
    return "\n  ".join([line["event"], *errors])
