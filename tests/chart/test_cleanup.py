"""The CronJob that deletes finished pods."""

from __future__ import annotations

import io
import json
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable
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
PODS = "https://10.0.0.1:443/api/v1/namespaces/team-alpha/pods"

Answer = Callable[[urllib.request.Request], Any]


def build_pod(name: str, finished: str | None, created: str = LONG_AGO) -> Object:
    """Return a finished pod of team alpha as in an API response."""
    states = [{"state": {"terminated": {"finishedAt": finished}}}] if finished else []
    meta = {"name": name, "namespace": "team-alpha", "uid": f"uid-{name}", "creationTimestamp": created}
    return {"metadata": meta, "status": {"containerStatuses": states}}


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

    finished = "fieldSelector=status.phase%21%3DPending%2Cstatus.phase%21%3DRunning%2Cstatus.phase%21%3DUnknown"
    first = f"{PODS}?{finished}&labelSelector=kpo-platform%2Fteam%3Dalpha&limit=500"
    assert requests == [
        ("GET", first, ""),
        ("GET", f"{first}&continue=more", ""),
        ("DELETE", f"{PODS}/old", delete_options("old")),
        ("DELETE", f"{PODS}/evicted", delete_options("evicted")),
        ("DELETE", f"{PODS}/replaced", delete_options("replaced")),
    ]
    assert capsys.readouterr().out.startswith("Team alpha: deleted 2 pods that finished before ")


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
