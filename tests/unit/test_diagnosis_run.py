"""Problems of a pod that runs: probes, sidecars, restarts, its node, its deletion."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from kpo_platform.diagnosis.diagnose import diagnose
from kpo_platform.diagnosis.facts import Facts, Need
from unit.support.diagnosis import IMAGE, answer, build_event, build_pod, end_with, find_causes, wait_for

NOW = datetime(2026, 11, 30, 10, 1, tzinfo=UTC)
SOON = "2026-11-30T10:00:04Z"
BASE = {"name": "base", "image": IMAGE}
POD = "Pod team-alpha/report"


def run(name: str = "base", started: str = "2026-11-30T10:00:00Z", **fields: Any) -> dict[str, Any]:
    return {"name": name, "state": {"running": {"startedAt": started}}, **fields}


def build_facts(
    *statuses: dict[str, Any], spec: dict[str, Any] | None = None, events: Any = (), **status: Any
) -> Facts:
    pod = build_pod(spec, **{"phase": "Running", "containerStatuses": list(statuses), **status})
    return Facts(pod=pod, events=tuple(events), now=NOW)


def fail_probe(kind: str = "Liveness", time: str = SOON, name: str = "base", kill: str = "") -> list[dict[str, Any]]:
    message = kill or f"Container {name} failed {kind.lower()} probe"
    return [
        build_event("Unhealthy", f"{kind} probe failed: HTTP probe failed with statuscode: 500", name, time=time),
        build_event("Killing", message, name, time=time),
    ]


@pytest.mark.parametrize(
    ("kind", "code", "kill"),
    [
        ("Liveness", "KPO-RUN101", ""),
        ("Startup", "KPO-RUN102", ""),
        ("Liveness", "KPO-RUN101", "Container base failed liveness probe, will be restarted"),
        (
            "Liveness",
            "KPO-RUN101",
            "Killing container with id docker://base:Container failed liveness probe.. Container will",
        ),
    ],
)
@pytest.mark.parametrize("exit_code", [137, 143, 1])
def test_killing_probe_is_named_and_explains_the_exit_code(kind: str, code: str, kill: str, exit_code: int):
    field = f"{kind.lower()}Probe"
    spec = {"containers": [{**BASE, field: {"failureThreshold": 2, "periodSeconds": 1}}]}
    facts = build_facts(end_with(exit_code), spec=spec, events=fail_probe(kind, kill=kill), phase="Failed")
    (cause,) = diagnose(facts).causes
    assert cause.finding.code == code
    assert cause.finding.cause == (
        f'The {kind.lower()} probe failed 2 times in a row, so the kubelet has killed the program, container "base" '
        f"(exit code {exit_code}): HTTP probe failed with statuscode: 500"
    )
    assert cause.finding.fix.patch == {"spec": {"containers": [{"name": "base", field: None}]}}


def test_probe_explains_the_end_even_if_the_event_of_the_kill_is_lost():
    facts = build_facts(end_with(143), events=fail_probe()[:1], phase="Failed")
    assert [cause[0] for cause in find_causes(facts)] == ["KPO-RUN101"]
    own = build_facts(end_with(1), events=fail_probe()[:1], phase="Failed")
    assert [cause[0] for cause in find_causes(own)] == ["KPO-END111"]


def test_probe_that_kills_again_and_again_is_told_while_the_program_runs():
    again = run(started="2026-11-30T10:00:30Z", restartCount=3, lastState=end_with(137)["state"])
    assert [cause[:2] for cause in find_causes(build_facts(again, events=fail_probe()))] == [("KPO-RUN101", "final")]


def test_probe_of_a_sidecar_is_a_warning():
    spec = {"containers": [BASE, {"name": "proxy"}]}
    facts = build_facts(run(), end_with(137, name="proxy"), spec=spec, events=fail_probe(name="proxy"))
    (cause,) = diagnose(facts).causes
    assert (cause.finding.code, cause.finding.severity, cause.outlook) == ("KPO-RUN101", "warning", "waits")


def test_probe_of_a_sidecar_that_the_program_waits_for_is_an_error():
    again = run("proxy", started="2026-11-30T10:00:30Z", lastState=end_with(137)["state"])
    facts = build_facts(
        wait_for("PodInitializing"),
        spec=NATIVE,
        events=fail_probe("Startup", name="proxy", kill="Init container proxy failed startup probe"),
        phase="Pending",
        initContainerStatuses=[again],
    )
    (cause,) = diagnose(facts).causes
    assert (cause.finding.code, cause.finding.severity, cause.outlook) == ("KPO-RUN102", "error", "waits")


@pytest.mark.parametrize(("status", "code"), [({}, "KPO-RUN101"), ({"reason": "DeadlineExceeded"}, "KPO-END113")])
def test_kill_with_the_pod_is_that_of_a_probe_unless_the_pod_tells_another_cause(status: dict[str, str], code: str):
    """Seen on Kubernetes 1.37: a container that is not started again is stopped with its pod."""
    events = [
        build_event("Unhealthy", "Liveness probe failed: ", "base", time=SOON),
        build_event("Killing", "Stopping container base", "base", time=SOON),
    ]
    (cause, *_) = diagnose(build_facts(end_with(137), events=events, phase="Failed", **status)).causes
    assert cause.finding.code == code


def test_other_kill_is_told_verbatim():
    events = [build_event("Killing", "Container base definition changed", "base", time=SOON)]
    (cause,) = diagnose(build_facts(end_with(137), events=events, phase="Failed")).causes
    assert (cause.finding.code, cause.is_vague) == ("KPO-RUN100", True)
    assert cause.finding.cause.endswith(": Container base definition changed")


AGENT = {"name": "agent", "image": "agent:1", "args": ["--serve"]}
MOUNTS = [{"name": "kube-api-access-x", "mountPath": "/var/run/secrets"}, {"name": "work", "mountPath": "/work"}]


def keep_running(agent: dict[str, Any], code: int = 0) -> Facts:
    return build_facts(
        end_with(code, "Completed" if not code else "Error"), run("agent"), spec={"containers": [BASE, agent]}
    )


def test_container_that_keeps_the_pod_running_becomes_a_native_sidecar():
    (cause,) = diagnose(keep_running({**AGENT, "volumeMounts": MOUNTS})).causes
    assert (cause.finding.code, cause.outlook, cause.finding.severity) == ("KPO-RUN103", "grace", "error")
    assert cause.finding.cause == (
        'The program has ended (exit code 0), but container "agent" still runs, so the pod does not end'
    )
    assert cause.finding.fix.patch == {
        "spec": {
            "containers": [{"name": "agent", "$patch": "delete"}],
            "initContainers": [{**AGENT, "volumeMounts": MOUNTS[1:], "restartPolicy": "Always"}],
        }
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"env": [{"name": "A", "value": "hunter2"}]},
        {"args": ["--db=postgresql://etl:hunter2@db/x"]},
        {"image": ""},
    ],
)
def test_patch_never_has_values_that_may_be_secret(fields: dict[str, Any]):
    (cause,) = diagnose(keep_running({**AGENT, **fields})).causes
    assert cause.finding.fix.patch is None
    assert "hunter2" not in str(cause)


def test_failure_of_the_program_comes_before_the_container_that_stays():
    assert [cause[0] for cause in find_causes(keep_running(AGENT, 3))] == ["KPO-END111", "KPO-RUN103"]


def test_failing_sidecar_is_a_warning_with_its_log():
    spec = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    waiting = {**wait_for("CrashLoopBackOff", name="proxy"), "lastState": end_with(2)["state"]}
    (cause,) = diagnose(build_facts(run(), spec=spec, initContainerStatuses=[waiting])).causes
    assert (cause.finding.code, cause.finding.severity, cause.outlook) == ("KPO-RUN104", "warning", "waits")
    assert cause.finding.cause.startswith('Sidecar "proxy" has ended again and again (Error, exit code 2)')
    assert cause.finding.fix.commands == ("kubectl -n team-alpha logs report -c proxy --previous",)


def test_pod_that_failed_because_of_a_sidecar_is_explained():
    spec = {"containers": [BASE, {"name": "agent"}]}
    facts = build_facts(end_with(0, "Completed"), end_with(1, name="agent"), spec=spec, phase="Failed")
    assert [cause[0] for cause in find_causes(facts)] == ["KPO-RUN104"]
    stopped = build_facts(end_with(0, "Completed"), end_with(143, name="agent"), spec=spec, phase="Failed")
    assert find_causes(stopped) == []


def test_program_that_succeeds_again_and_again_needs_another_restart_policy():
    waiting = {**wait_for("CrashLoopBackOff"), "lastState": end_with(0, "Completed")["state"]}
    (cause,) = diagnose(build_facts(waiting, spec={"restartPolicy": "Always"})).causes
    assert cause.finding.code == "KPO-RUN105"
    assert cause.finding.fix.patch == {"spec": {"restartPolicy": "Never"}}


def test_program_is_started_again_before_the_kubelet_says_so():
    ended = {**end_with(0, "Completed"), "lastState": end_with(0, "Completed")["state"]}
    assert [cause[0] for cause in find_causes(build_facts(ended, spec={"restartPolicy": "Always"}))] == ["KPO-RUN105"]
    assert find_causes(build_facts(ended, spec={"restartPolicy": "Never"})) == []
    assert find_causes(build_facts(ended, spec={"restartPolicy": "OnFailure"})) == []


def test_sidecar_that_has_failed_twice_fails_before_the_kubelet_says_so():
    spec = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
    once = end_with(2, name="proxy")
    twice = {**once, "lastState": once["state"]}
    found = [find_causes(build_facts(run(), spec=spec, initContainerStatuses=[each])) for each in (once, twice)]
    assert [[cause[0] for cause in causes] for causes in found] == [[], ["KPO-RUN104"]]


def set_ready(reason: str = "", status: str = "False") -> dict[str, Any]:
    return {"conditions": [{"type": "Ready", "status": status, "reason": reason}]}


SILENT = [build_event("NodeNotReady", "Node is not ready")]
NODE = {"nodeName": "node-1"}


def test_silent_node_is_named():
    facts = build_facts(run(), spec=NODE, events=SILENT, **set_ready())
    text = "The node node-1 of the pod report does not answer, so it is not known whether its program still runs"
    assert find_causes(facts) == [("KPO-RUN106", "waits", "Node node-1", text)]
    unknown = build_facts(run(), spec=NODE, phase="Unknown")
    assert [cause[0] for cause in find_causes(unknown)] == ["KPO-RUN106"]


def test_node_is_looked_at_if_no_event_is_left():
    facts, need = build_facts(run(), spec=NODE, **set_ready()), Need("Node", "", "node-1")
    assert diagnose(facts).missing == (need,)
    for status, codes in (("Unknown", ["KPO-RUN106"]), ("True", [])):
        node = answer({"status": {"conditions": [{"type": "Ready", "status": status}]}})
        assert [cause[0] for cause in find_causes(facts, {need: node})] == codes


def delete(*statuses: dict[str, Any], finalizers: Any = None, **status: Any) -> Facts:
    facts = build_facts(*statuses, **status)
    times = {"deletionTimestamp": "2026-11-30T10:00:30Z", "deletionGracePeriodSeconds": 0}
    facts.pod["metadata"] |= {**times, **({"finalizers": finalizers} if finalizers else {})}
    return Facts(pod=facts.pod, now=datetime(2026, 11, 30, 10, 2, tzinfo=UTC))


def test_finalizer_that_keeps_a_pod_is_named():
    facts = delete(end_with(0, "Completed"), finalizers=["example.com/hold"], phase="Succeeded")
    (cause,) = diagnose(facts).causes
    assert cause.finding.code == "KPO-RUN107"
    assert cause.finding.cause == "The pod report was deleted, but its finalizers example.com/hold keep it"
    assert cause.finding.fix.commands == (
        'kubectl -n team-alpha patch pod report --type merge -p \'{"metadata":{"finalizers":null}}\'',
    )


def test_deletion_that_the_node_does_not_confirm_is_told_with_the_deletion():
    assert [cause[0] for cause in find_causes(delete(run()))] == ["KPO-RUN107", "KPO-END124"]


def test_ephemeral_container_that_does_not_start_is_a_warning():
    facts = build_facts(run(), ephemeralContainerStatuses=[wait_for("ErrImagePull", "not found", "debugger-x")])
    (cause,) = diagnose(facts).causes
    assert (cause.finding.code, cause.finding.severity) == ("KPO-RUN108", "warning")


NATIVE = {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]}
TWO = {"containers": [BASE, AGENT]}


@pytest.mark.parametrize(
    "facts",
    [
        build_facts(
            run(),
            events=[build_event("Unhealthy", "Readiness probe failed: 500", "base")],
            **set_ready("ContainersNotReady"),
        ),
        build_facts(run(), spec=NODE, events=SILENT, **set_ready("", "True")),
        build_facts(run(), events=SILENT, **set_ready("ReadinessGatesNotReady")),
        build_facts(run(), events=fail_probe()[:1]),
        build_facts(run(started="2026-11-30T10:00:30Z"), events=fail_probe()),
        build_facts(end_with(0, "Completed"), events=fail_probe("Readiness")[:1], phase="Succeeded"),
        build_facts(
            end_with(0, "Completed"),
            run("airflow-xcom-sidecar"),
            spec={"containers": [BASE, {"name": "airflow-xcom-sidecar"}]},
        ),
        build_facts(
            end_with(0, "Completed"),
            spec=NATIVE,
            initContainerStatuses=[end_with(137, name="proxy")],
            phase="Succeeded",
        ),
        build_facts(end_with(0, "Completed"), spec=NATIVE, initContainerStatuses=[run("proxy")]),
        build_facts(run(), run("agent", restartCount=1, lastState=end_with(1)["state"]), spec=TWO),
        build_facts(wait_for("ContainerCreating"), phase="Pending"),
        delete(end_with(0, "Completed"), phase="Succeeded"),
    ],
)
def test_healthy_pod_has_no_problem(facts: Facts):
    assert find_causes(facts) == []


def test_container_that_ends_just_after_the_program_is_no_problem():
    facts = keep_running(AGENT)
    assert find_causes(Facts(pod=facts.pod, now=datetime(2026, 11, 30, 10, 0, 9, tzinfo=UTC))) == []


@pytest.mark.parametrize("junk", [None, [], "x", 3, {"a": []}, [None, 3]])
def test_malformed_facts_do_not_raise(junk: Any):
    agent = {**AGENT, "env": junk, "args": junk, "volumeMounts": junk, "livenessProbe": junk}
    for key in ("ephemeralContainerStatuses", "initContainerStatuses", "conditions"):
        facts = build_facts(end_with(137), run("agent"), spec={"containers": [BASE, agent]}, **{key: junk})
        facts.pod["metadata"]["finalizers"] = junk
        diagnose(Facts(pod=facts.pod, events=(junk, *fail_probe()), now=NOW))
    late = {**run(), "lastState": {"terminated": {"exitCode": 1, "finishedAt": "9999-12-31T23:59:59Z", "reason": junk}}}
    diagnose(build_facts(late, events=fail_probe()))
