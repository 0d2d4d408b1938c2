"""The job that removes finished pods: when it is there, and what it would remove."""

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

from chart.rendering import Object, find_object, render
from chart.test_scripts import script

KEEPS_AN_HOUR: Object = {"teams": {"alpha": {"cleanup": {"maxAge": 3600}}, "beta": {}}}
LONG_AGO, FAR_AHEAD = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
PODS = "https://10.0.0.1:443/api/v1/namespaces/team-alpha/pods"

Answer = Callable[[urllib.request.Request], Any]


def pod(name: str, finished: str | None, created: str = LONG_AGO) -> Object:
    """A pod of team alpha that has ended, as the API gives it."""
    states = [{"state": {"terminated": {"finishedAt": finished}}}] if finished else []
    meta = {"name": name, "namespace": "team-alpha", "uid": f"uid-{name}", "creationTimestamp": created}
    return {"metadata": meta, "status": {"containerStatuses": states}}


def job(contract: str, answer: Answer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The job's script as in its pod, with this contract and an API server that answers so."""
    (folder / "contract.json").write_text(contract)
    (folder / "token").write_text("token-of-the-account")
    shutil.copy(certifi.where(), folder / "ca.crt")
    monkeypatch.setenv("KPO_PLATFORM_CONTRACT", str(folder / "contract.json"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT_HTTPS", "443")
    found = script("delete_finished_pods", monkeypatch)
    monkeypatch.setattr(found, "ACCOUNT", folder)
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda request, **_: io.BytesIO(json.dumps(answer(request)).encode())
    )
    return found


def test_nobody_wants_a_clean_up_so_there_is_none() -> None:
    assert [item for item in render({"teams": {"alpha": {}}}) if item["metadata"]["name"] == "airflow-cleanup"] == []


def test_one_job_in_the_release_s_namespace_serves_all_teams() -> None:
    found = find_object(render(KEEPS_AN_HOUR), "CronJob", "airflow-cleanup")
    assert (found["spec"]["schedule"], found["spec"]["concurrencyPolicy"]) == ("17 * * * *", "Forbid")
    spec = found["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == "airflow-cleanup"
    assert spec["containers"][0]["args"] == ["python", "/opt/kpo-platform/scripts/delete_finished_pods.py"]


def test_exactly_the_pods_that_ended_before_the_team_s_age_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pages = [
        {"metadata": {"continue": "more"}, "items": [pod("old", LONG_AGO), pod("new", FAR_AHEAD)]},
        {"metadata": {}, "items": [pod("evicted", None), pod("taken", LONG_AGO), pod("young", None, FAR_AHEAD)]},
    ]
    asked: list[tuple[str, str, str]] = []

    def answer(request: urllib.request.Request) -> Any:
        assert request.get_header("Authorization") == "Bearer token-of-the-account"
        asked.append((request.get_method(), request.full_url, (request.data or b"").decode()))
        if request.full_url.endswith("/taken"):
            raise urllib.error.HTTPError(request.full_url, 409, "Conflict", Message(), None)
        return pages.pop(0) if request.get_method() == "GET" else {}

    contract = find_object(render(KEEPS_AN_HOUR), "ConfigMap", "airflow-contract")["data"]["contract.json"]
    job(contract, answer, tmp_path, monkeypatch).main()

    def only(name: str) -> str:
        return json.dumps({"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": f"uid-{name}"}})

    finished = "fieldSelector=status.phase%21%3DPending%2Cstatus.phase%21%3DRunning%2Cstatus.phase%21%3DUnknown"
    first = f"{PODS}?{finished}&labelSelector=kpo-platform%2Fteam%3Dalpha&limit=500"
    assert asked == [
        ("GET", first, ""),
        ("GET", f"{first}&continue=more", ""),
        ("DELETE", f"{PODS}/old", only("old")),
        ("DELETE", f"{PODS}/evicted", only("evicted")),
        ("DELETE", f"{PODS}/taken", only("taken")),
    ]
    assert capsys.readouterr().out.startswith("team alpha: 2 pods that ended before ")


def test_a_team_that_cannot_be_reached_does_not_keep_the_others_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    teams = {name: {"namespace": f"team-{name}", "cleanup": {"maxAge": 60}} for name in ("alpha", "beta")}

    def answer(request: urllib.request.Request) -> Any:
        if "team-alpha" in request.full_url:
            raise urllib.error.URLError("no route")
        return {"metadata": {}, "items": []}

    with pytest.raises(SystemExit) as ended:
        job(json.dumps({"teamDefaults": {}, "teams": teams}), answer, tmp_path, monkeypatch).main()
    assert ended.value.code == (
        "team alpha: pods could not be removed: <urlopen error no route>; the next run tries again"
    )
    assert capsys.readouterr().out.startswith("team beta: 0 pods")
