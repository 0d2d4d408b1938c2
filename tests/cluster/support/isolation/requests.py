"""Requests to every route of the Execution API for the things of a team, and the answers that another team gets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any
from urllib.parse import quote

LAST_DATE = "2100-01-01T00:00:00+00:00"
ALL_EVENTS = {"after": "2020-01-01T00:00:00+00:00", "ascending": True}
OTHER_TASK = "Token subject does not match task instance ID"
NO_CONNECTION_TEST = "Token type 'execution' not allowed for this endpoint. Allowed types: workload"


@dataclass(frozen=True)
class Target:
    """A team whose things requests ask for, and the finished run of its DAG `isolation_TEAM_target`."""

    team: str
    run: str
    task_instance: str

    @property
    def dag(self) -> str:
        """The id of the team's DAG."""
        return f"isolation_{self.team}_target"


@dataclass(frozen=True)
class Request:
    """A request to the Execution API.

    Attributes:
        route: method and path of the route, as Airflow's application names them.
        path: the path with its arguments filled in.
        params: the query.
        body: the body as JSON.
        thing: what the request is about, as in the refusal: ``variable 'beta_key'``; empty if no team is refused.
        verb: what the request does with it, as in the refusal.
        grant: the action that allows it to another team; empty if none does.
        upstream_refusal: Airflow's own refusal, which the team itself gets too; empty if there is none.
    """

    route: str
    path: str
    params: dict[str, Any] = field(default_factory=dict)
    body: Any = None
    thing: str = ""
    verb: str = ""
    grant: str = ""
    upstream_refusal: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return what the DAG of tests/cluster/dags/isolation.py sends."""
        return {"method": self.route.split()[0], "path": self.path, "params": self.params, "body": self.body}

    def describe_refusal(self, team: str, owner: str) -> str:
        """Return the sentence that another team gets; empty if it gets an answer."""
        if not self.thing:
            return self.upstream_refusal
        grant = f"{{from: {team}, to: {owner}, do: [{self.grant}]}} to isolation.grants."
        kind = self.thing.split()[0]
        fixes = {
            "connection": "List it in isolation.shared.connections.",
            "variable": "List it in isolation.shared.variables.",
            "asset": f"List it in isolation.shared.assets, or add {grant}",
            "DAG": f"Add {grant}" if self.grant else "Only tasks of that team can do it.",
        }
        return f"Team {team!r} cannot {self.verb} {self.thing}: it belongs to team {owner!r}. {fixes[kind]}"


def build_requests(target: Target) -> list[Request]:
    """Return at least one request for each route, in an order in which the team itself gets an answer to each."""
    return [
        *_build_asset_requests(target),
        *_build_name_requests(target),
        *_build_task_count_requests(target),
        *_build_xcom_requests(target),
        *_build_task_requests(target),
        *_build_run_requests(target),  # the last one runs the task again
    ]


def _build_asset_requests(target: Target) -> Iterator[Request]:
    asset, alias = f"{target.team}_asset", f"{target.team}_alias"

    def build(route: str, name: str, params: dict[str, Any], verb: str = "read", body: Any = None) -> Request:
        return Request(route, route.split()[1], params, body, f"asset {name!r}", verb, "asset")

    yield build("GET /assets/by-name", asset, {"name": asset})
    yield build("GET /assets/by-uri", asset, {"uri": asset})
    yield build("GET /assets/by-alias", alias, {"alias_name": alias})
    for params in ({"name": asset, "uri": asset}, {"name": asset, "uri": ""}, {"name": "", "uri": asset}):
        yield build("GET /asset-events/by-asset", asset, {**params, **ALL_EVENTS})
    yield build("GET /asset-events/by-asset-alias", alias, {"name": alias})
    for key in ("name", "uri"):
        path, value = f"/store/asset/by-{key}", {key: asset, "key": "cursor"}
        yield build(f"PUT {path}/value", asset, value, "update", {"value": f"secret of {target.team}"})
        yield build(f"GET {path}/value", asset, value)
        yield build(f"DELETE {path}/value", asset, value, "update")
        yield build(f"DELETE {path}/clear", asset, {key: asset}, "update")


def _build_name_requests(target: Target) -> Iterator[Request]:
    connection, variable = f"{target.team}_db", f"{target.team}_key"
    route = "GET /connections/{connection_id}"
    yield Request(route, f"/connections/{connection}", thing=f"connection {connection!r}", verb="read")
    for params in ({}, {"prefix": f"{target.team}_"}):
        yield Request("GET /variables/keys", "/variables/keys", params)
    for method, verb, body in (
        ("GET", "read", None),
        ("PUT", "write", {"val": f"secret of {target.team}"}),
        ("DELETE", "write", None),
    ):
        route = f"{method} /variables/{{variable_key:path}}"
        yield Request(route, f"/variables/{variable}", body=body, thing=f"variable {variable!r}", verb=verb)


def _build_run_requests(target: Target) -> Iterator[Request]:
    dag, run = target.dag, quote(target.run)
    runs, date = f"/dag-runs/{dag}", {"logical_date": LAST_DATE}

    def build(route: str, path: str, verb: str, params: Any = None, grant: str = "state", body: Any = None) -> Request:
        return Request(route, path, params or {}, body, f"DAG {dag!r}", verb, grant)

    yield build("GET /dag-runs/{dag_id}/previous", f"{runs}/previous", "read runs of", date)
    yield build("GET /dag-runs/{dag_id}/{run_id}", f"{runs}/{run}", "read runs of")
    yield build("GET /dag-runs/{dag_id}/{run_id}/state", f"{runs}/{run}/state", "read states of")
    yield build("GET /dag-runs/count", "/dag-runs/count", "read states of", {"dag_id": dag})
    yield build("GET /dag-runs/previous", "/dag-runs/previous", "read runs of", {"dag_id": dag, **date})
    yield build("GET /dags/{dag_id}", f"/dags/{dag}", "read")
    route = "POST /dag-runs/{dag_id}/{run_id}"
    yield build(route, f"{runs}/requested-{token_hex(4)}", "trigger", grant="trigger", body={})
    yield build(f"{route}/clear", f"{runs}/{run}/clear", "clear runs of", grant="trigger")


def _build_task_count_requests(target: Target) -> Iterator[Request]:
    dag, path = target.dag, "/task-instances"
    routes = {
        "count": ("count", {"dag_id": dag}),
        "previous/{dag_id}/{task_id}": (f"previous/{dag}/work", {}),
        "states": ("states", {"dag_id": dag}),
        "breadcrumbs": ("breadcrumbs", {"dag_id": dag, "run_id": target.run}),
    }
    for route, (end, params) in routes.items():
        thing = f"DAG {dag!r}"
        yield Request(f"GET {path}/{route}", f"{path}/{end}", params, None, thing, "read states of", "state")


def _build_xcom_requests(target: Target) -> Iterator[Request]:
    route = "/xcoms/{dag_id}/{run_id}/{task_id}/{key:path}"
    path = f"/xcoms/{target.dag}/{quote(target.run)}/work/secret"
    thing = f"DAG {target.dag!r}"
    for method, end in (("GET", ""), ("HEAD", ""), ("GET", "/item/{offset}"), ("GET", "/slice")):
        filled = path + end.replace("{offset}", "0")
        yield Request(f"{method} {route}{end}", filled, thing=thing, verb="read XComs of", grant="xcom")
    yield Request(f"POST {route}", path, body="forged", thing=thing, verb="write XComs of")
    yield Request(f"DELETE {route}", path, thing=thing, verb="write XComs of")


def _build_task_requests(target: Target) -> Iterator[Request]:
    """Yield requests for a task that is not the one of the token."""
    task = target.task_instance
    start = {"state": "running", "pid": 1, "hostname": "x", "unixname": "x", "start_date": LAST_DATE}
    bodies = {
        "PATCH /task-instances/{task_instance_id}/run": start,
        "PATCH /task-instances/{task_instance_id}/state": {"state": "failed", "end_date": LAST_DATE},
        "PATCH /task-instances/{task_instance_id}/skip-downstream": {"tasks": ["work"]},
        "PUT /task-instances/{task_instance_id}/heartbeat": {"pid": 1, "hostname": "x"},
        "PUT /task-instances/{task_instance_id}/rtif": {"field": "forged"},
        "PATCH /task-instances/{task_instance_id}/rendered-map-index": "forged",
        "GET /task-instances/{task_instance_id}/previous-successful-dagrun": None,
        "GET /task-instances/{task_instance_id}/validate-inlets-and-outlets": None,
        "GET /task-reschedules/{task_instance_id}/start_date": None,
        "POST /hitlDetails/{task_instance_id}": {"ti_id": task, "options": ["yes"], "subject": "forged"},
        "PATCH /hitlDetails/{task_instance_id}": {"ti_id": task, "chosen_options": ["yes"]},
        "GET /hitlDetails/{task_instance_id}": None,
        "GET /store/ti/{task_instance_id}/{key:path}": None,
        "PUT /store/ti/{task_instance_id}/{key:path}": {"value": "forged"},
        "DELETE /store/ti/{task_instance_id}/{key:path}": None,
        "DELETE /store/ti/{task_instance_id}": None,
        "GET /connection-tests/{connection_test_id}/connection": None,
        "PATCH /connection-tests/{connection_test_id}": {"state": "failed"},
    }
    for route, body in bodies.items():
        path = route.split()[1].replace("{key:path}", "cursor")
        for parameter in ("{task_instance_id}", "{connection_test_id}"):
            path = path.replace(parameter, task)
        refusal = NO_CONNECTION_TEST if "connection-tests" in route else OTHER_TASK
        yield Request(route, path, body=body, upstream_refusal=refusal)
