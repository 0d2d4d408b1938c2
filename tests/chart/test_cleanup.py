"""The CronJob that deletes finished pods."""

from __future__ import annotations

import io
import json
import re
import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from types import ModuleType
from typing import Any

import certifi
import pytest

from chart.pod_scripts import load_script
from chart.rendering import Object, find_object, render

KEEPS_AN_HOUR: Object = {"teams": {"alpha": {"cleanup": {"maxAge": 3600}}, "beta": {}}}
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
ENDED: Object = {"terminated": {"exitCode": 0, "finishedAt": LONG_AGO}}
RUNNING: Object = {"running": {"startedAt": LONG_AGO}}
WAITING: Object = {"waiting": {"reason": "ImagePullBackOff"}}
SIDECAR_RUNS: Object = {"base": ENDED, "sidecar": RUNNING}
PODS = "https://10.0.0.1:443/api/v1/namespaces/team-alpha/pods"

Answer = Callable[[urllib.request.Request], Any]


def build_pod(name: str, finished: str | None, created: str = LONG_AGO) -> Object:
    """Return a finished pod of team alpha as in an API response."""
    states = {"base": {"terminated": {"finishedAt": finished}}} if finished else {}
    return build_pod_in_phase("Succeeded" if finished else "Failed", states, name=name, created=created)


def build_pod_in_phase(
    phase: str, states: Object, restart_policy: str = "Never", name: str = "pod", created: str = LONG_AGO
) -> Object:
    """Return a pod of team alpha with these states of its containers as in an API response."""
    return {
        "metadata": {"name": name, "namespace": "team-alpha", "uid": f"uid-{name}", "creationTimestamp": created},
        "spec": {"restartPolicy": restart_policy, "containers": [{"name": container} for container in states]},
        "status": {
            "phase": phase,
            "containerStatuses": [{"name": container, "state": state} for container, state in states.items()],
        },
    }


def load_job(contract: str, answer: Answer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Load the Job's script with a contract and a fake API server."""
    (folder / "contract.json").write_text(contract)
    (folder / "token").write_text("token-of-the-account")
    shutil.copy(certifi.where(), folder / "ca.crt")
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(folder / "contract.json"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT_HTTPS", "443")
    module = load_script("delete_finished_pods", monkeypatch)
    monkeypatch.setattr(module, "ACCOUNT", folder)
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda request, **_: io.BytesIO(json.dumps(answer(request)).encode())
    )
    return module


def test_cleanup_is_disabled_by_default() -> None:
    assert [item for item in render({"teams": {"alpha": {}}}) if item["metadata"]["name"] == "airflow-cleanup"] == []


def test_one_cron_job_serves_all_teams() -> None:
    cron_job = find_object(render(KEEPS_AN_HOUR), "CronJob", "airflow-cleanup")
    assert (cron_job["spec"]["schedule"], cron_job["spec"]["concurrencyPolicy"]) == ("17 * * * *", "Forbid")
    spec = cron_job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "airflow-cleanup"
    assert spec["containers"][0]["args"] == ["python", "/opt/kpo-platform/scripts/delete_finished_pods.py"]


def test_only_pods_older_than_max_age_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [
        {"metadata": {"continue": "more"}, "items": [build_pod("old", LONG_AGO), build_pod("new", FAR_AHEAD)]},
        {
            "metadata": {},
            "items": [build_pod("evicted", None), build_pod("replaced", LONG_AGO), build_pod("young", None, FAR_AHEAD)],
        },
    ]
    requests: list[tuple[str, str, str]] = []

    def answer(request: urllib.request.Request) -> Any:
        assert request.get_header("Authorization") == "Bearer token-of-the-account"
        requests.append((request.get_method(), request.full_url, (request.data or b"").decode()))
        if request.full_url.endswith("/replaced"):
            raise urllib.error.HTTPError(request.full_url, 409, "Conflict", Message(), None)
        return pages.pop(0) if request.get_method() == "GET" else {}

    contract = find_object(render(KEEPS_AN_HOUR), "ConfigMap", "airflow-contract")["data"]["contract.json"]
    load_job(contract, answer, tmp_path, monkeypatch).main()

    def delete_options(name: str) -> str:
        return json.dumps({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": f"uid-{name}"}})

    first = f"{PODS}?labelSelector=kpo-platform%2Fteam%3Dalpha&limit=500"
    assert requests == [
        ("GET", first, ""),
        ("GET", f"{first}&continue=more", ""),
        ("DELETE", f"{PODS}/old", delete_options("old")),
        ("DELETE", f"{PODS}/evicted", delete_options("evicted")),
        ("DELETE", f"{PODS}/replaced", delete_options("replaced")),
    ]
    assert capsys.readouterr().out.startswith("Team alpha: deleted 2 pods that finished before ")


def is_selected(pod: Object, url: str) -> bool:
    """Return whether the phase of a pod passes the field selector of a request."""
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    excluded = re.findall("status.phase!=([^,]+)", query.get("fieldSelector", [""])[0])
    return pod["status"].get("phase") not in excluded


def list_deleted_pods(pods: list[Object], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the Job with these pods of a team that keeps its pods for an hour; return the names of those it deletes."""
    deleted = []

    def answer(request: urllib.request.Request) -> Any:
        if request.get_method() == "DELETE":
            deleted.append(request.full_url.removeprefix(f"{PODS}/"))
        return {"metadata": {}, "items": [pod for pod in pods if is_selected(pod, request.full_url)]}

    contract = find_object(render(KEEPS_AN_HOUR), "ConfigMap", "airflow-contract")["data"]["contract.json"]
    load_job(contract, answer, folder, monkeypatch).main()
    return deleted


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(build_pod_in_phase("Running", SIDECAR_RUNS), id="sidecar-runs"),
        pytest.param(build_pod_in_phase("Pending", {"base": ENDED, "sidecar": WAITING}), id="sidecar-without-image"),
    ],
)
def test_pod_whose_base_ended_long_ago_is_deleted(pod: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list_deleted_pods([pod], tmp_path, monkeypatch) == ["pod"]


def test_age_of_a_pod_with_a_running_sidecar_counts_from_the_end_of_base(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes_ago = {
        str(minutes): (datetime.now(UTC) - timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for minutes in (59, 61)
    }
    pods = [
        build_pod_in_phase("Running", {"base": {"terminated": {"finishedAt": end}}, "sidecar": RUNNING}, name=name)
        for name, end in minutes_ago.items()
    ]
    late_helper = {"base": ENDED, "helper": {"terminated": {"finishedAt": minutes_ago["59"]}}, "sidecar": RUNNING}
    pods.append(build_pod_in_phase("Running", late_helper, name="late-helper"))
    assert list_deleted_pods(pods, tmp_path, monkeypatch) == ["61", "late-helper"]


@pytest.mark.parametrize("unknown", ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z"])
def test_age_of_a_pod_with_a_lost_container_counts_from_its_creation(
    unknown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: Object = {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": unknown}}
    pods = [
        build_pod_in_phase("Failed", {"base": lost}, name="young", created=FAR_AHEAD),
        build_pod_in_phase("Failed", {"base": lost}, name="old"),
        build_pod_in_phase("Running", {"base": lost, "sidecar": RUNNING}, name="unfinished"),
        build_pod_in_phase("Failed", {"base": lost, "sidecar": {"terminated": {"finishedAt": FAR_AHEAD}}}, name="seen"),
    ]
    assert list_deleted_pods(pods, tmp_path, monkeypatch) == ["old"]


@pytest.mark.parametrize(
    "pod",
    [
        pytest.param(build_pod_in_phase("Running", {"base": RUNNING, "sidecar": ENDED}), id="base-runs"),
        pytest.param(build_pod_in_phase("Pending", {"base": WAITING, "sidecar": ENDED}), id="base-waits"),
        pytest.param(build_pod_in_phase("Running", {"main": ENDED, "sidecar": RUNNING}), id="no-base"),
        pytest.param(build_pod_in_phase("Running", SIDECAR_RUNS, restart_policy="Always"), id="restarts-always"),
        pytest.param(build_pod_in_phase("Running", SIDECAR_RUNS, restart_policy="OnFailure"), id="restarts-on-failure"),
        pytest.param(
            build_pod_in_phase("Running", {})
            | {
                "status": {
                    "phase": "Running",
                    "containerStatuses": [{"name": "base", "state": RUNNING, "lastState": ENDED}],
                }
            },
            id="base-runs-again",
        ),
        pytest.param(
            build_pod_in_phase("Running", {"base": {"terminated": {"finishedAt": None}}, "sidecar": RUNNING}),
            id="end-without-time",
        ),
        pytest.param(
            build_pod_in_phase("Running", SIDECAR_RUNS)
            | {"spec": {"restartPolicy": "Never", "containers": [{"name": "base", "restartPolicy": "Always"}]}},
            id="base-with-its-own-restart-policy",
        ),
    ],
)
def test_pod_whose_base_has_not_ended_for_good_is_kept(
    pod: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert list_deleted_pods([pod], tmp_path, monkeypatch) == []


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"phase": None, "containerStatuses": None},
        {"phase": "Unknown", "containerStatuses": [{"name": "base", "state": None}]},
        {"phase": "Running", "containerStatuses": [{"name": "base"}, {"name": "sidecar", "state": {"frozen": {}}}]},
        {"phase": "Running", "containerStatuses": [{"name": "base", "state": {"terminated": {}}}]},
        {"phase": "Dreaming", "containerStatuses": [{}], "reason": 5},
    ],
)
def test_incomplete_status_keeps_the_pod_and_does_not_stop_the_run(
    status: Object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = build_pod_in_phase("Running", SIDECAR_RUNS) | {"status": status}
    without_policy = build_pod_in_phase("Running", SIDECAR_RUNS, name="without-policy")
    del without_policy["spec"]["restartPolicy"]
    pods = [pod, without_policy, build_pod("old", LONG_AGO)]
    assert list_deleted_pods(pods, tmp_path, monkeypatch) == ["old"]


def test_failure_for_one_team_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    teams = {name: {"namespace": f"team-{name}", "cleanup": {"maxAge": 60}} for name in ("alpha", "beta")}

    def answer(request: urllib.request.Request) -> Any:
        if "team-alpha" in request.full_url:
            raise urllib.error.URLError("no route")
        return {"metadata": {}, "items": []}

    with pytest.raises(SystemExit) as failure:
        load_job(json.dumps({"teamDefaults": {}, "teams": teams}), answer, tmp_path, monkeypatch).main()
    assert failure.value.code == (
        "Team alpha: pods cannot be deleted: <urlopen error no route>. The next run tries again."
    )
    assert capsys.readouterr().out.startswith("Team beta: deleted 0 pods")
