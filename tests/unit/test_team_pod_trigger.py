"""triggers.team_pod: a deferred task waits for its pod by the informer of its namespace."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.cncf.kubernetes.triggers.pod import KubernetesPodTrigger

from kpo_platform.airflow.triggers import outage, team_pod
from kpo_platform.airflow.triggers.team_pod import TeamPodTrigger
from kpo_platform.pod.reported_end import CANNOT_START
from kpo_platform.pod.summary import summarize_pod
from unit.support.informer_scene import build_ended, build_pod
from unit.support.namespace_server import refusing, serve
from unit.support.pod_statuses import RUNNING, WAITING, ended, pod
from unit.support.pod_trigger import build_trigger, fire, serve_pods, use
from unit.support.task_log import Log

Json = dict[str, Any]
PATH = "kpo_platform.airflow.triggers.team_pod.TeamPodTrigger"
IMAGE_MISSING = {"waiting": {"reason": "InvalidImageName", "message": "couldn't parse image"}}


@pytest.fixture(autouse=True)
def log(trigger_log: Log) -> Log:
    return trigger_log


def build_event(found: Json | None, status: str, message: str, **more: Any) -> Json:
    labelled = found and {**found, "metadata": {**found["metadata"], "labels": {}}}
    seen = {"pod": summarize_pod(labelled)} if found else {}
    known = {"status": status, "name": "a", "namespace": "n", "message": message, "last_log_time": None}
    return {**known, **seen, **more}


@pytest.mark.parametrize(
    ("end", "status", "message"),
    [
        (build_ended("a"), "success", "The program has ended."),
        (build_ended("a", 3), "failed", "The program failed: container base ended with exit code 3."),
        (
            {**build_ended("a", 137), "status": {**pod("Failed", ended(137))["status"], "reason": "Evicted"}},
            "failed",
            "The pod was disrupted (Evicted).",
        ),
    ],
)
def test_end_of_a_program_is_reported_with_the_state_of_its_pod(end: Json, status: str, message: str):
    server = serve_pods(build_pod("a"))
    event = fire(server, build_trigger(trigger_kwargs={"_redefer_count": 1}), lambda: server.put(end))
    assert event == build_event(end, status, event["message"], _redefer_count=1)
    assert event["message"].startswith(message[:20])


def test_result_in_the_message_of_the_pod_is_reported_and_not_logged():
    end = build_pod("a", "Succeeded", ended(0, message='{"rows": 3}'))
    event = fire(serve_pods(end), build_trigger())
    assert event["pod"]["status"]["containerStatuses"][0]["state"]["terminated"]["message"] == '{"rows": 3}'
    payload = team_pod.QuietPayload(event)
    assert "rows" not in f"{payload!r}"
    assert payload == event


def test_pod_that_goes_with_its_exit_code_is_reported_with_it():
    server = serve_pods(build_pod("a"))

    def end() -> None:
        server.put(build_ended("a", 3))
        server.delete("a")

    event = fire(server, build_trigger(), end)
    assert (event["status"], event["pod"]) == ("failed", build_event(build_ended("a", 3), "", "")["pod"])


def test_pod_that_goes_without_an_end_is_left_to_the_worker():
    server = serve_pods(build_pod("a"))
    event = fire(server, build_trigger(), lambda: server.delete("a"))
    assert event == build_event(build_pod("a"), "error", "Pod a no longer exists.")


def test_pod_that_never_was_is_left_to_the_worker():
    assert fire(serve_pods(), build_trigger()) == build_event(None, "error", "Pod a no longer exists.")


def test_image_that_can_never_be_pulled_is_left_to_the_worker():
    event = fire(serve_pods(build_pod("a", "Pending", IMAGE_MISSING)), build_trigger())
    assert (event["status"], event[CANNOT_START], event["message"]) == (
        "error",
        True,
        'The image name "python:3.12" is not valid (InvalidImageName). Correct image: registry/repository:tag, in '
        "lower case, such as registry.example.com/team/job:1.2. [KPO-IMG101: docs/troubleshooting.md#kpo-img101]",
    )


NO_NODE = (
    "No node can take the pod: 0/3 nodes are available (Unschedulable). Wait, or ask the platform team. [KPO-SCH100: "
    "docs/troubleshooting.md#kpo-sch100]"
)

UNSCHEDULED = {
    "metadata": {"name": "a", "namespace": "n", "uid": "uid-a"},
    "spec": {"containers": [{"name": "base"}]},
    "status": {
        "phase": "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available"}
        ],
    },
}


def test_pod_that_finds_no_node_in_time_is_a_timeout(log: Log):
    event = fire(serve_pods(UNSCHEDULED), build_trigger(schedule_timeout=0.2))
    late = "Pod a found no node within 0.2 s (schedule_timeout_seconds, by default the team's policy.roomTimeout)."
    assert event == build_event(None, "timeout", f"{NO_NODE} {late}")
    assert log.lines == [f"Pod a does not start yet: {NO_NODE}"]


def test_pod_that_does_not_start_in_time_is_a_timeout(log: Log):
    trigger = build_trigger(startup_timeout=0.2, schedule_timeout=0)
    event = fire(serve_pods(build_pod("a", "Pending", WAITING)), trigger)
    message = "Pod a did not start within 0.2 s (startup_timeout_seconds). Kubernetes does not say why."
    assert event == build_event(None, "timeout", message)
    assert log.lines == ["Pod a has a node and starts."]


def test_outage_does_not_count_for_the_start():
    server = serve_pods(build_pod("a", "Pending", WAITING))
    server.acts["LIST"] = [refusing(503)] * 1000
    event = fire(
        server, build_trigger(startup_timeout=0.5), lambda: None, lambda: None, lambda: None, server.acts.clear
    )
    assert event["status"] == "timeout"


def test_end_of_the_tasks_time_is_a_timeout():
    deadline = time.time() + 0.3
    event = fire(serve_pods(build_pod("a")), build_trigger(trigger_kwargs={"_execution_deadline": deadline}))
    message = "Pod a ran until the task's execution_timeout."
    assert event == build_event(None, "timeout", message, _execution_deadline=deadline)


def test_steps_of_the_pod_are_in_the_log(log: Log):
    server = serve_pods(UNSCHEDULED)
    backoff = {"waiting": {"reason": "ImagePullBackOff", "message": "timeout \x1b[31m"}}
    fire(
        server,
        build_trigger(),
        lambda: server.put(build_pod("a", "Pending", WAITING)),
        lambda: server.put(build_pod("a", "Pending", backoff)),
        lambda: server.put(build_pod("a")),
        lambda: server.put(build_ended("a")),
    )
    assert log.lines == [
        f"Pod a does not start yet: {NO_NODE}",
        "Pod a has a node and starts.",
        "Pod a does not start yet: The image of the pod cannot be pulled: timeout [31m (ImagePullBackOff). Correct "
        "image, or ask the platform team about its registry. [KPO-IMG100: docs/troubleshooting.md#kpo-img100]",
        "Pod a has started.",
    ]


def test_outage_is_in_the_log(log: Log):
    server = serve_pods(build_pod("a"))

    def stop() -> None:
        server.acts["WATCH"] = server.acts["LIST"] = [refusing(503)] * 1000
        server.cut()

    fire(server, build_trigger(), stop, lambda: server.put(build_ended("a")), server.acts.clear)
    assert log.lines[:2] == [
        "Pod a has started.",
        "warning: Cannot read the state of pod a. The task waits; the triggerer's log has the cause.",
    ]


def test_short_outage_is_not_in_the_log(log: Log, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(outage, "_TOLD_AFTER_S", 5)
    server = serve_pods(build_pod("a"))

    def stop() -> None:
        server.acts["WATCH"] = server.acts["LIST"] = [refusing(503)] * 4
        server.cut()

    fire(server, build_trigger(), stop, lambda: None, lambda: server.put(build_ended("a")))
    assert log.lines == ["Pod a has started."]


def test_spec_of_a_pod_is_read_once_if_it_does_not_start(log: Log):
    server = serve_pods(UNSCHEDULED)
    backoff = {"waiting": {"reason": "ImagePullBackOff", "message": "timeout"}}
    steps = [build_pod("a", "Pending", WAITING), build_pod("a", "Pending", backoff), build_pod("a"), build_ended("a")]
    fire(server, build_trigger(), *[lambda step=step: server.put(step) for step in steps])  # type: ignore[misc]
    assert server.requests.count("GET a") == 1


def test_stored_form_has_the_stock_arguments_and_its_own():
    trigger = build_trigger(start="s1")
    path, arguments = trigger.serialize()
    _, stock = KubernetesPodTrigger(
        **{name: value for name, value in arguments.items() if name not in ("pod_uid", "start", "finish")}
    ).serialize()
    assert (path, arguments) == (PATH, {**stock, "pod_uid": "uid-a", "start": "s1", "finish": None})
    assert TeamPodTrigger(**arguments).serialize() == (path, arguments)


OWN_KEYS = ("status", "name", "namespace", "message", "last_log_time", "pod")


@pytest.mark.parametrize("pods", [[build_pod("a")], []])
def test_arguments_of_the_author_do_not_replace_what_the_trigger_has_seen(pods: list[Json]):
    """Not the pod either, of a trigger that has seen none."""
    written: Json = {**dict.fromkeys(OWN_KEYS, "author's"), "_redefer_count": 1, "_execution_deadline": 1.0}
    event = fire(serve_pods(*pods), build_trigger(trigger_kwargs=written))
    assert event == build_event(None, event["status"], event["message"], _redefer_count=1, _execution_deadline=1.0)
    assert event["message"].startswith("Pod a ")


@pytest.mark.parametrize("deadline", ["soon", [], {}, float("nan")])
def test_arguments_of_any_kind_still_give_an_event(deadline: Any):
    written = {"_execution_deadline": deadline, "status": "x"}
    assert fire(serve_pods(build_ended("a")), build_trigger(trigger_kwargs=written))["status"] in ("success", "error")


def test_many_triggers_share_one_watch():
    names = [f"p{number}" for number in range(50)]
    server = serve_pods(*map(build_pod, names))

    async def run() -> list[str]:
        async with serve(server) as open_client:
            triggers = [build_trigger(pod_name=name, pod_uid=f"uid-{name}") for name in names]
            for trigger in triggers:
                trigger._build_hook = lambda: SimpleNamespace(get_conn=open_client)  # type: ignore[assignment,return-value]
            waits = [asyncio.create_task(anext(aiter(trigger.run()))) for trigger in triggers]
            async with asyncio.timeout(10):
                while server.requests != ["LIST", "WATCH"]:
                    await asyncio.sleep(0.01)
            for name in names:
                server.put(build_ended(name))
            events = [(await wait).payload["status"] for wait in waits]
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            return events

    assert asyncio.run(run()) == ["success"] * 50
    assert server.requests == ["LIST", "WATCH"]


def test_running_pod_is_waited_for():
    server = serve_pods(build_pod("a", "Running", RUNNING))
    with pytest.raises(TimeoutError):
        asyncio.run(use(server, trigger := build_trigger(), lambda: asyncio.wait_for(anext(aiter(trigger.run())), 0.3)))
