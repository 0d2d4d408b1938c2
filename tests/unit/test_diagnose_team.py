"""platformctl diagnose --team: one list of pods and of events, whatever the number of pods."""

from __future__ import annotations

import json
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts
from unit.support.diagnosis import IMAGE, build_event, build_pod, end_with, wait_for
from unit.support.http_server import Answer, Fault, Request, serving, status
from unit.support.platformctl import Cluster, Platformctl

Json = dict[str, Any]
PODS = "/api/v1/namespaces/team-alpha/pods"
EVENTS = "/api/v1/namespaces/team-alpha/events"
LIMIT_S = 3.0
MISSING = 'secret "settings" not found'


def build_named_pod(name: str, spec: Json | None = None, **status: Any) -> Json:
    pod = build_pod(spec, **status)
    pod["metadata"] |= {"name": name, "uid": f"uid-{name}"}
    return pod


def build_running_pod(name: str) -> Json:
    running = {"name": "base", "state": {"running": {"startedAt": "2026-11-30T10:00:00Z"}}, "ready": True}
    return build_named_pod(name, phase="Running", containerStatuses=[running])


def build_failed_pod(name: str) -> Json:
    return build_named_pod(name, phase="Failed", containerStatuses=[end_with(1)])


def build_waiting_pod(name: str) -> Json:
    return build_named_pod(name, containerStatuses=[wait_for("CreateContainerConfigError", MISSING)])


def add(cluster: Cluster, *pods: Json) -> None:
    cluster.platform.objects |= {f"{PODS}/{pod['metadata']['name']}": pod for pod in pods}


def choose(cluster: Cluster, *words: str) -> list[str]:
    return ["diagnose", *words, *cluster.options]


def count_requests(cluster: Cluster) -> Counter[str]:
    """Count the requests about the team's namespace by method and path."""
    paths = (f"{each.method} {urlsplit(each.path).path}" for each in cluster.server.seen)
    return Counter(path.partition("/team-alpha/")[2] for path in paths if "/team-alpha/" in path)


def test_team_has_findings_of_pods_of_every_phase_and_counts_the_others(platformctl: Platformctl, cluster: Cluster):
    late = build_event("Unhealthy", "Liveness probe failed: HTTP 500", "base", ("Pod", "late"))
    late["involvedObject"]["uid"] = "uid-late"
    killed = build_event("Killing", "Container base failed liveness probe, will be restarted", "base", ("Pod", "late"))
    killed["involvedObject"]["uid"] = "uid-late"
    add(cluster, build_running_pod("fine"), build_running_pod("late"), build_waiting_pod("stuck"))
    cluster.platform.objects |= {f"{EVENTS}/1": late, f"{EVENTS}/2": killed}
    result = platformctl(*choose(cluster, "--team", "alpha"))
    assert (result.code, result.err) == (1, "2 findings in 3 pods.\n")
    assert [line for line in result.out.splitlines() if line.startswith(("✗", "✔", "?"))] == [
        "✗ Pod team-alpha/late (Running): The liveness probe failed, so the kubelet has killed the program, "
        'container "base": HTTP 500',
        '✗ Pod team-alpha/stuck (Pending): Secret "settings" does not exist in team-alpha',
    ]


def test_pods_events_and_shared_objects_are_read_once(platformctl: Platformctl, cluster: Cluster):
    add(cluster, *(build_waiting_pod(f"p{number}") for number in range(30)))
    result = platformctl(*choose(cluster, "--team", "alpha", "-o", "json"))
    assert {each["code"] for each in json.loads(result.out)["findings"]} == {"KPO-STA101"}
    assert len(json.loads(result.out)["findings"]) == 30
    assert count_requests(cluster) == {"pods": 1, "events": 1, "secrets/settings": 1}


def test_only_some_logs_are_read_and_the_others_are_named(platformctl: Platformctl, cluster: Cluster):
    pods = [build_failed_pod(f"p{number}") for number in range(25)]
    add(cluster, *pods)
    cluster.platform.objects |= {f"{PODS}/{pod['metadata']['name']}/log": "bad\n" for pod in pods}
    result = platformctl(*choose(cluster, "--team", "alpha"))
    requests = count_requests(cluster)
    assert sum(count for path, count in requests.items() if path.endswith("/log")) == 20
    assert result.out.splitlines()[-1] == (
        "? 5 pods: could not look at the log: of several pods only 20 logs are read; pass the name of the pod"
    )


def test_many_pods_are_listed_in_pages(platformctl: Platformctl, cluster: Cluster):
    add(cluster, *(build_running_pod(f"p{number}") for number in range(1200)))
    result = platformctl(*choose(cluster, "--team", "alpha"))
    assert (result.code, result.out, result.err) == (0, "", "0 findings in 1200 pods.\n")
    assert count_requests(cluster) == {"pods": 3, "events": 1}


def test_list_whose_pages_have_expired_is_read_whole(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    add(cluster, *(build_running_pod(f"p{number}") for number in range(600)))

    def expire(request: Request) -> Answer:
        return status(410, "too old") if "continue=" in request.path else cluster.platform(request)

    folder = tmp_path / "expired"
    folder.mkdir()
    with serving(expire) as server:
        result = platformctl("diagnose", "--team", "alpha", "--kubeconfig", server.kubeconfig(folder))
    assert (result.code, result.err) == (0, "0 findings in 600 pods.\n")


def test_more_events_than_are_read_are_named(
    platformctl: Platformctl, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kpo_platform.doctor.pod_reader._MOST_EVENTS", 500)
    add(cluster, build_running_pod("fine"), build_running_pod("other"))
    event = {**build_event("Pulled", "Container image is already present", "base"), "metadata": {}}
    cluster.platform.objects |= {f"{EVENTS}/{number}": event for number in range(501)}
    result = platformctl(*choose(cluster, "--team", "alpha"))
    assert (result.code, result.out) == (
        3,
        "? 2 pods: could not look at all events of team-alpha: only 500 are read\n",
    )


def test_unreadable_events_are_named_once_for_all_pods(platformctl: Platformctl, cluster: Cluster):
    add(cluster, build_running_pod("fine"), build_running_pod("other"))
    cluster.platform.refused.add(EVENTS)
    result = platformctl(*choose(cluster, "--team", "alpha"))
    assert (result.code, result.out) == (
        3,
        "? 2 pods: could not look at Cannot list events in namespace team-alpha: "
        'User "jane" cannot do that. Ask for the rights of rbac/team-developer.yaml.\n',
    )


@pytest.mark.parametrize("words", [("--team", "alpha"), ("report", "-n", "team-alpha"), ("--dag", "d", "--task", "t")])
def test_api_server_that_is_down_is_one_sentence(platformctl: Platformctl, tmp_path: Path, words: tuple[str, ...]):
    with serving(lambda request: Fault.CLOSE) as server:
        kubeconfig = server.kubeconfig(tmp_path)
    result = platformctl("diagnose", *words, "--kubeconfig", kubeconfig)
    assert (result.code, result.out, len(result.err.splitlines())) == (3, "", 1)
    assert result.err.startswith(f"Error: No answer from the API server {server.url} to: list configmaps")


def test_after_an_outage_no_object_is_asked_for_again(platformctl: Platformctl, cluster: Cluster, tmp_path: Path):
    pods = [build_waiting_pod(f"p{number}") for number in range(3)]
    for number, pod in enumerate(pods):
        waiting = wait_for("CreateContainerConfigError", f'secret "s{number}" not found')
        pod["status"]["containerStatuses"] = [waiting]
    add(cluster, *pods)
    folder = tmp_path / "down"
    folder.mkdir()

    def break_off(request: Request) -> Answer:
        return Fault.CLOSE if "/secrets/" in request.path else cluster.platform(request)

    with serving(break_off) as server:
        result = platformctl("diagnose", "--team", "alpha", "--kubeconfig", server.kubeconfig(folder))
        asked = [each.path for each in server.seen if "/secrets/" in each.path]
    assert (result.code, len(asked)) == (1, 1)
    assert "3 findings in 3 pods." in result.err


def test_5000_pods_are_diagnosed_in_time():
    variables = [{"name": f"V{number}", "value": "x" * 30} for number in range(30)]
    spec = {"containers": [{"name": "base", "image": IMAGE, "env": variables}], "nodeName": "node"}
    kinds = (build_running_pod, build_running_pod, build_failed_pod, build_waiting_pod)
    pods = [kinds[number % 4](f"p{number}") for number in range(5000)]
    text = json.dumps([{**pod, "spec": spec} for pod in pods])
    events = tuple(build_event(reason, "done", "base") for reason in ("Scheduled", "Pulled", "Created", "Started"))
    start = time.process_time()
    found = [diagnose(Facts(pod=pod, events=events)) for pod in json.loads(text)]
    seconds = time.process_time() - start
    assert sum(bool(each.causes) for each in found) == 2500
    assert seconds < LIMIT_S
